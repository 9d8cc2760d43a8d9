-- Takes a partition over under a new epoch, with everything pending. Idempotent for the same member and epoch.
-- KEYS  1 log (stream)  2 progress (hash)  3 pending (hash)  4 retries (hash)
-- ARGV  1 group  2 member  3 epoch  4 the most entries, and records that something is told of, in one answer
-- Returns { position, now in ms, pending as field/value pairs, retries as field/value pairs, base offsets and delivery counts above 1 }, or an error
-- FENCED with the current epoch; { position } when it would be more: claim-page.lua tells the rest. An entry's delivery count is 1 and grows with each take-over, that is each change of the epoch.
-- A write that needs no memory comes first, so that Redis at maxmemory lets the script go on (only a script's first write is refused).
redis.call('HDEL', KEYS[3], '')
local epoch = redis.call('HGET', KEYS[2], 'epoch')
local owner = redis.call('HGET', KEYS[2], 'owner')
if not epoch then return redis.error_reply('FENCED none') end
if tonumber(epoch) > tonumber(ARGV[3]) or (epoch == ARGV[3] and owner ~= ARGV[2]) then
  return redis.error_reply('FENCED ' .. epoch)
end
redis.call('HSET', KEYS[2], 'epoch', ARGV[3], 'owner', ARGV[2])
-- Desks of a time when the group was shared are no owners any more.
local gone = { owner }
local fields = redis.call('HKEYS', KEYS[2])
for _, field in ipairs(fields) do
  local desk = string.match(field, '^desk/(.+)$')
  if desk then
    redis.call('HDEL', KEYS[2], field)
    gone[#gone + 1] = desk
  end
end
-- The native pending list follows the owner, so that redis-cli shows the truth. The first owner takes nothing over.
local takeOver = (owner ~= '' or #gone > 1) and epoch ~= ARGV[3]
local counts = {}
local from = '-'
while true do
  local page = redis.call('XPENDING', KEYS[1], ARGV[1], from, '+', 500)
  local byCount = {}
  for _, item in ipairs(page) do
    local count = item[4]
    if takeOver then count = count + 1 end
    if takeOver or item[2] ~= ARGV[2] then
      if not byCount[count] then byCount[count] = { 'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0 } end
      table.insert(byCount[count], item[1])
    end
    if count > 1 then
      counts[#counts + 1] = string.match(item[1], '^%d+')
      counts[#counts + 1] = count
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
for _, member in ipairs(gone) do
  if member ~= '' and member ~= ARGV[2] then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], member) end
end
local most = tonumber(ARGV[4])
local position = redis.call('HGET', KEYS[2], 'position')
if redis.call('HLEN', KEYS[3]) > most or redis.call('HLEN', KEYS[4]) > most then return { position } end
local pending = redis.call('HGETALL', KEYS[3])
local told = 0
for at = 2, #pending, 2 do told = told + #pending[at] end
if told > most then return { position } end
local time = redis.call('TIME')
local now = string.format('%d', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
return { position, now, pending, redis.call('HGETALL', KEYS[4]), counts }
