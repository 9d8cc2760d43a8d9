-- Moves a group's place in a partition and forgets what was handed out. Fences every owner under a lower epoch.
-- KEYS  1 log (stream)  2 progress (hash)  3 pending (hash)  4 retries (hash)  5 rejections (hash)
-- ARGV  1 group  2 epoch  3 last delivered id  4 position  5 base offset of an entry that is begun in its middle, '' when none  6 its states  7 its unsettled records
-- Returns what claim.lua does, without the delivery counts, as it was before the move; or an error FENCED with the current epoch ('none' when the group has not begun
-- here).
-- A write that needs no memory comes first, so that Redis at maxmemory lets the script go on (only a script's first write is refused).
redis.call('HDEL', KEYS[3], '')
local epoch = redis.call('HGET', KEYS[2], 'epoch')
if not epoch then return redis.error_reply('FENCED none') end
if tonumber(epoch) > tonumber(ARGV[2]) then return redis.error_reply('FENCED ' .. epoch) end
local time = redis.call('TIME')
local now = string.format('%d', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local before = { redis.call('HGET', KEYS[2], 'position'), now, redis.call('HGETALL', KEYS[3]), redis.call('HGETALL', KEYS[4]) }
while true do
  local page = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 500)
  if #page == 0 then break end
  local ack = { 'XACK', KEYS[1], ARGV[1] }
  for at = 1, #page do ack[3 + at] = page[at][1] end
  redis.call(unpack(ack))
end
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5])
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.find(field, '^desk/') then redis.call('HDEL', KEYS[2], field) end
end
redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[2], 'epoch', ARGV[2], 'owner', '', 'position', ARGV[4], 'unsettled', ARGV[7])
if ARGV[5] ~= '' then
  redis.call('XCLAIM', KEYS[1], ARGV[1], 'begin', 0, ARGV[5] .. '-1', 'FORCE', 'JUSTID')
  redis.call('HSET', KEYS[3], ARGV[5], ARGV[6])
end
return before
