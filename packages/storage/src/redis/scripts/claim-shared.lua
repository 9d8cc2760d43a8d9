-- Registers a desk as a reader of a partition, beside other desks, and takes over what desks left that are gone. Idempotent for the same member and epoch.
-- KEYS  1 log (stream)  2 progress (hash; a field desk/<member> for each desk, with its epoch)  3 pending (hash)  4 retries (hash)
-- ARGV  1 group  2 member  3 epoch  4 the most entries, and records that something is told of, in one answer
--       5 epoch of the view that names the desks, '' to take nothing over  then the desks of the view
-- Returns as claim.lua does, with the pending entries of this desk alone; or an error FENCED with the current epoch.
-- A write that needs no memory comes first, so that Redis at maxmemory lets the script go on (only a script's first write is refused).
redis.call('HDEL', KEYS[3], '')
local epoch = redis.call('HGET', KEYS[2], 'epoch')
if not epoch then return redis.error_reply('FENCED none') end
if tonumber(epoch) > tonumber(ARGV[3]) then return redis.error_reply('FENCED ' .. epoch) end
local own = redis.call('HGET', KEYS[2], 'desk/' .. ARGV[2])
if own and tonumber(own) > tonumber(ARGV[3]) then return redis.error_reply('FENCED ' .. own) end

local registered = { [ARGV[2]] = true }
local gone = {}
local living = {}
for at = 6, #ARGV do living[ARGV[at]] = true end
local fields = redis.call('HGETALL', KEYS[2])
for at = 1, #fields, 2 do
  local member = string.match(fields[at], '^desk/(.+)$')
  if member and member ~= ARGV[2] then
    if ARGV[5] ~= '' and not living[member] and tonumber(fields[at + 1]) <= tonumber(ARGV[5]) then
      redis.call('HDEL', KEYS[2], fields[at])
      gone[member] = true
    else
      registered[member] = true
    end
  end
end
-- No exclusive owner goes on beside desks; what the last one left is taken over with the rest.
local owner = redis.call('HGET', KEYS[2], 'owner')
if owner and owner ~= '' and ARGV[5] ~= '' then gone[owner] = true end
redis.call('HSET', KEYS[2], 'desk/' .. ARGV[2], ARGV[3], 'owner', '')

local mine = {}
local counts = {}
local from = '-'
while true do
  local page = redis.call('XPENDING', KEYS[1], ARGV[1], from, '+', 500)
  local byCount = {}
  for _, item in ipairs(page) do
    local id, holder, count = item[1], item[2], item[4]
    local isMine = holder == ARGV[2]
    if isMine and own ~= ARGV[3] or not isMine and not registered[holder] and ARGV[5] ~= '' then
      -- The placeholder of a group that begins inside an entry has not been an owner.
      if holder ~= 'begin' then count = count + 1 end
      if not byCount[count] then byCount[count] = { 'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0 } end
      table.insert(byCount[count], id)
      isMine = true
    end
    if isMine then
      local base = string.match(id, '^%d+')
      mine[#mine + 1] = base
      if count > 1 then
        counts[#counts + 1] = base
        counts[#counts + 1] = count
      end
    end
  end
  for count, claim in pairs(byCount) do
    claim[#claim + 1] = 'RETRYCOUNT'
    claim[#claim + 1] = count
    claim[#claim + 1] = 'JUSTID'
    redis.call(unpack(claim))
  end
  if #page < 500 then break end
  local base, sequence = string.match(page[#page][1], '^(%d+)-(%d+)$')
  from = base .. '-' .. string.format('%d', tonumber(sequence) + 1)
end
for member in pairs(gone) do redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], member) end
local most = tonumber(ARGV[4])
local position = redis.call('HGET', KEYS[2], 'position')
if #mine > most or redis.call('HLEN', KEYS[4]) > most then return { position } end
local pending = {}
local told = 0
for _, base in ipairs(mine) do
  local value = redis.call('HGET', KEYS[3], base)
  if value then
    pending[#pending + 1] = base
    pending[#pending + 1] = value
    told = told + #value
  end
end
if told > most then return { position } end
local time = redis.call('TIME')
local now = string.format('%d', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
return { position, now, pending, redis.call('HGETALL', KEYS[4]), counts }
