-- Takes away everything of a partition whose topic was deleted, unless the topic was made again meanwhile and a later life has begun there.
-- KEYS  1 log (stream)  2 life (string)  3 groups (set)  4... whatever else a partition has, the sides of its groups too
-- ARGV  1 the life that ended: when the topic was made, in ms  2 how many groups were written down when the keys were put together
-- Returns 'gone', 'later' when a later life has begun, or 'more' when another group has begun meanwhile.
local life = redis.call('GET', KEYS[2])
if life and tonumber(life) > tonumber(ARGV[1]) then return 'later' end
if redis.call('SCARD', KEYS[3]) ~= tonumber(ARGV[2]) then return 'more' end
for at = 1, #KEYS, 1000 do redis.call('UNLINK', unpack(KEYS, at, math.min(at + 999, #KEYS))) end
return 'gone'
