-- Takes away everything of a partition whose topic was deleted, unless the topic was made again meanwhile and a later life has begun there.
-- KEYS  1 log (stream)  2 life (string)  3... whatever else a partition has
-- ARGV  1 the life that ended: when the topic was made, in ms
-- Returns 1, or 0 when a later life has begun.
local life = redis.call('GET', KEYS[2])
if life and tonumber(life) > tonumber(ARGV[1]) then return 0 end
for at = 1, #KEYS, 1000 do redis.call('UNLINK', unpack(KEYS, at, math.min(at + 999, #KEYS))) end
return 1
