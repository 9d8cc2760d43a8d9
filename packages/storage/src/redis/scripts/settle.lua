-- Settles records of pending entries. Needs no new memory to let go.
-- KEYS  1 log (stream)  2 progress (hash)  3 pending (hash)  4 retries (hash)  5 rejections (hash)
-- ARGV  1 group  2 member  3 epoch  then per entry: base offset, number of ranges, and per range: verb, first index, last index, detail
-- Verbs and their detail: a (ack), r (retry; delay in ms, -1: in place), l (release), x (reject, its copy is owed; reason and error text), d (the copy is there),
-- i (makes no sense, to be refused).
-- Returns refusals as triples { entry number, range number, code }: 1 not delivered, 2 already settled (retry), 3 makes no sense, 4 already settled (reject); or
-- an error FENCED with the current epoch.
-- A write that needs no memory comes first, so that Redis at maxmemory lets the script go on (only a script's first write is refused).
redis.call('HDEL', KEYS[3], '')
local epoch = redis.call('HGET', KEYS[2], 'epoch')
local isOwner = epoch == ARGV[3] and redis.call('HGET', KEYS[2], 'owner') == ARGV[2]
if not isOwner and redis.call('HGET', KEYS[2], 'desk/' .. ARGV[2]) ~= ARGV[3] then
  return redis.error_reply('FENCED ' .. (epoch or 'none'))
end
local position = tonumber(redis.call('HGET', KEYS[2], 'position'))
local refusals = {}
local settled = 0
local done = {}
local gone = {}
local now
local hasRetries = redis.call('HLEN', KEYS[4]) > 0

local function refuse(entry, range, code)
  refusals[#refusals + 1] = entry
  refusals[#refusals + 1] = range
  refusals[#refusals + 1] = code
end

local function nowMs()
  if not now then
    local time = redis.call('TIME')
    now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  end
  return now
end

-- What is known of a record that came back: its field, failed attempts, releases, due time.
local function history(base, index)
  local field = string.format('%d', tonumber(base) + index)
  local known = hasRetries and redis.call('HGET', KEYS[4], field)
  if not known then return field, 0, 0, 0 end
  local attempts, due, releases = string.match(known, '^(%d+) (%d+) ?(%d*)$')
  return field, tonumber(attempts), tonumber(releases) or 0, tonumber(due)
end

local function retry(base, first, last, delay)
  local due = 0
  if delay >= 0 then due = nowMs() + delay end
  for index = first, last do
    local field, attempts, releases = history(base, index)
    redis.call('HSET', KEYS[4], field, string.format('%d %d %d', attempts + 1, due, releases))
  end
  hasRetries = true
end

local function release(base, first, part)
  for at = 1, #part do
    if string.sub(part, at, at) == '.' then
      local field, attempts, releases, due = history(base, first + at - 1)
      redis.call('HSET', KEYS[4], field, string.format('%d %d %d', attempts, due, releases + 1))
      hasRetries = true
    end
  end
end

local function reject(base, first, part, detail)
  for at = 1, #part do
    if string.sub(part, at, at) == '.' then
      local field, attempts = history(base, first + at - 1)
      redis.call('HSET', KEYS[5], field, string.format('%d %d %s', attempts + 1, nowMs(), detail))
      redis.call('HDEL', KEYS[4], field)
    end
  end
end

local function forgetRejections(base, first, last)
  for index = first, last do redis.call('HDEL', KEYS[5], string.format('%d', tonumber(base) + index)) end
end

local function forgetRetries(base, first, last)
  for index = first, last do redis.call('HDEL', KEYS[4], string.format('%d', tonumber(base) + index)) end
end

-- Several desks hand out one partition: each settles what is pending with it.
local function holds(base)
  if isOwner then return true end
  local id = base .. '-1'
  local item = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]
  return item and item[2] == ARGV[2]
end

local at = 4
local entry = 0
while at <= #ARGV do
  local base = ARGV[at]
  local ranges = tonumber(ARGV[at + 1])
  at = at + 2
  local value = not gone[base] and redis.call('HGET', KEYS[3], base)
  if value and not holds(base) then
    for range = 0, ranges - 1 do
      refuse(entry, range, ARGV[at] == 'i' and 3 or 1)
      at = at + 4
    end
  elseif not value then
    -- Below the position and not pending: settled before, which is no error but for a retry.
    local isDelivered = tonumber(base) < position
    for range = 0, ranges - 1 do
      local verb = ARGV[at]
      at = at + 4
      if verb == 'i' then refuse(entry, range, 3)
      elseif not isDelivered then refuse(entry, range, 1)
      elseif verb == 'r' then refuse(entry, range, 2) end
    end
  else
    local partly = string.find(value, '^[^%d]') ~= nil
    local count = partly and #value or tonumber(value)
    if not partly and ranges == 1 and ARGV[at] == 'a' and ARGV[at + 1] == '0' and tonumber(ARGV[at + 2]) == count - 1 then
      settled = settled + count
      done[#done + 1] = base
      gone[base] = true
      if hasRetries then forgetRetries(base, 0, count - 1) end
      at = at + 4
    else
      local states = partly and value or string.rep('.', count)
      local before = states
      for range = 0, ranges - 1 do
        local verb, first, last, detail = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3]
        at = at + 4
        if verb == 'i' then
          refuse(entry, range, 3)
        elseif first < 0 or last >= count then
          refuse(entry, range, 1)
        else
          local part = string.sub(states, first + 1, last + 1)
          local after = part
          if verb == 'a' then
            local acked, unsettled = string.gsub(part, '%.', 'a')
            after = acked
            settled = settled + unsettled
            if hasRetries then forgetRetries(base, first, last) end
          elseif verb == 'r' then
            if string.find(part, '[^.]') then refuse(entry, range, 2) else retry(base, first, last, tonumber(detail)) end
          elseif verb == 'l' then
            release(base, first, part)
          elseif verb == 'x' then
            if string.find(part, '[as]') then
              refuse(entry, range, 4)
            else
              reject(base, first, part, detail)
              after = string.gsub(part, '%.', 'x')
            end
          elseif verb == 'd' then
            local dead, copied = string.gsub(part, 'x', 'd')
            after = dead
            settled = settled + copied
            forgetRejections(base, first, last)
          end
          states = string.sub(states, 1, first) .. after .. string.sub(states, last + 2)
        end
      end
      if string.find(states, '[.x]') then
        if states ~= before then redis.call('HSET', KEYS[3], base, states) end
      else
        done[#done + 1] = base
        gone[base] = true
      end
    end
  end
  entry = entry + 1
end

if #done > 0 then
  local ack = { 'XACK', KEYS[1], ARGV[1] }
  for index = 1, #done do ack[3 + index] = done[index] .. '-1' end
  redis.call(unpack(ack))
  redis.call('HDEL', KEYS[3], unpack(done))
end
if settled > 0 then redis.call('HINCRBY', KEYS[2], 'unsettled', -settled) end
return refusals
