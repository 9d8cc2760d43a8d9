-- Fixes where a group begins in a partition; when it has begun, only notes that it goes on, so that no earlier deletion takes it away.
-- KEYS  1 log (stream)  2 progress (hash)  3 pending (hash)  4 groups that have begun here (set)  5 life (string)
-- ARGV  1 group  2 last delivered id  3 position, '' only to note  4 base offset of an entry that is begun in its middle, '' when none  5 its states  6 its unsettled records
--       7 time in ms by the group's store  8 the life that the position is of
-- Returns 1 when it was begun now, 0 when it had begun, -1 when there is no such stream, or nothing to note it at, -2 when the topic was made again since the position was read.
if redis.call('EXISTS', KEYS[2]) == 1 then
  if tonumber(redis.call('HGET', KEYS[2], 'begunMs') or '0') < tonumber(ARGV[7]) then redis.call('HSET', KEYS[2], 'begunMs', ARGV[7]) end
  return 0
end
if ARGV[3] == '' then return -1 end
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if (redis.call('GET', KEYS[5]) or '') ~= ARGV[8] then return -2 end
local created = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2])
if type(created) == 'table' and created.err and not string.find(created.err, 'BUSYGROUP', 1, true) then return created end
redis.call('SADD', KEYS[4], ARGV[1])
redis.call('HSET', KEYS[2], 'epoch', 0, 'owner', '', 'position', ARGV[3], 'unsettled', ARGV[6], 'begunMs', ARGV[7])
if ARGV[4] ~= '' then
  redis.call('XCLAIM', KEYS[1], ARGV[1], 'begin', 0, ARGV[4] .. '-1', 'FORCE', 'JUSTID')
  redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
end
return 1
