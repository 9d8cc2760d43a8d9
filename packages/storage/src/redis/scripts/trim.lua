-- Deletes the entries below an offset, with what groups still had pending of them. Nothing is trimmed twice, whoever runs it at once.
-- KEYS  1 log (stream)  2 producers (hash)  then for each group: progress (hash), pending (hash), retries (hash), rejections (hash)
-- ARGV  1 base offset of the first entry to keep  2 mode: any, settled, dry  then the groups
-- Returns { 'groups' } when the stream has other groups by now, { 'producers' } when the snapshot of the producers is older than what would go, { 'unsettled' }
-- in mode settled when a group would lose records, { 'gone' } when no entry begins there; else { 'trimmed', records lost by each group }.
-- A write that needs no memory comes first, so that Redis at maxmemory lets the script go on (only a script's first write is refused).
redis.call('HDEL', KEYS[2], '')
local to = tonumber(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then return { 'gone' } end
if #redis.call('XRANGE', KEYS[1], ARGV[1] .. '-1', ARGV[1] .. '-1') == 0 then return { 'gone' } end
local start = tonumber(string.match(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1], '^%d+'))
local expected = {}
for at = 3, #ARGV do expected[ARGV[at]] = true end
local count = 0
for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local name
  for at = 1, #info, 2 do
    if info[at] == 'name' then name = info[at + 1] end
  end
  if not expected[name] then return { 'groups' } end
  count = count + 1
end
if count ~= #ARGV - 2 then return { 'groups' } end
local dry = ARGV[2] == 'dry'
if not dry and tonumber(redis.call('HGET', KEYS[2], 'upTo') or '0') < to then return { 'producers' } end

-- What each group loses: what it was not given, and what it was given and has not settled.
local losses = {}
local plans = {}
local total = 0
for at = 3, #ARGV do
  local key = (at - 3) * 4 + 3
  local position = tonumber(redis.call('HGET', KEYS[key], 'position') or ARGV[1])
  local unread = math.max(0, to - math.max(position, start))
  local unsettled = 0
  local fields = {}
  local pending = redis.call('HGETALL', KEYS[key + 1])
  for item = 1, #pending, 2 do
    if tonumber(pending[item]) < to then
      local value = pending[item + 1]
      if string.find(value, '^%d') then unsettled = unsettled + tonumber(value)
      else unsettled = unsettled + select(2, string.gsub(value, '[.x]', '')) end
      fields[#fields + 1] = pending[item]
    end
  end
  losses[at - 2] = string.format('%d', unread + unsettled)
  total = total + unread + unsettled
  plans[at - 2] = { key = key, moves = position < to, unsettled = unsettled, fields = fields, lost = unread + unsettled }
end
if ARGV[2] == 'settled' and total > 0 then return { 'unsettled' } end
if to <= start or dry then return { 'trimmed', unpack(losses) } end

for index, plan in ipairs(plans) do
  local group = ARGV[index + 2]
  for first = 1, #plan.fields, 500 do
    local last = math.min(first + 499, #plan.fields)
    local ack = { 'XACK', KEYS[1], group }
    for item = first, last do ack[#ack + 1] = plan.fields[item] .. '-1' end
    redis.call(unpack(ack))
    redis.call('HDEL', KEYS[plan.key + 1], unpack(plan.fields, first, last))
  end
  for hash = plan.key + 2, plan.key + 3 do
    for _, offset in ipairs(redis.call('HKEYS', KEYS[hash])) do
      if tonumber(offset) < to then redis.call('HDEL', KEYS[hash], offset) end
    end
  end
  if plan.moves then
    redis.call('HSET', KEYS[plan.key], 'position', ARGV[1])
    redis.call('XGROUP', 'SETID', KEYS[1], group, ARGV[1] .. '-0')
  end
  if plan.unsettled > 0 then redis.call('HINCRBY', KEYS[plan.key], 'unsettled', -plan.unsettled) end
  if plan.lost > 0 then redis.call('HINCRBY', KEYS[plan.key], 'lost', plan.lost) end
end
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1] .. '-0')
return { 'trimmed', unpack(losses) }
