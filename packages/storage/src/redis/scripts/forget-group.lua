-- Takes away the side of a partition that a deleted group had, unless the group has come into being again and begun there since.
-- KEYS  1 log (stream)  2 progress (hash)  3 pending (hash)  4 retries (hash)  5 rejections (hash)  6 groups that have begun here (set)
-- ARGV  1 group  2 when it was deleted, in ms
-- Returns 1, or 0 when it has begun again.
local begun = redis.call('HGET', KEYS[2], 'begunMs')
if begun and tonumber(begun) > tonumber(ARGV[2]) then return 0 end
redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('SREM', KEYS[6], ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1]) end
return 1
