-- Makes an empty partition of one life of its topic. What an earlier life has left there goes: whoever deleted the topic may not have come so far.
-- KEYS  1 log (stream)  2 life (string)  3 groups (set)  4... whatever else a partition has, the sides of its groups too; only needed when the answer was 'earlier'
-- ARGV  1 the life: when the topic was made, in ms  2 '1' when this is the topic's life though a later one stands here: the store's clock went back
--       3 how many groups were written down when the keys were put together, '' when they were not
-- Returns 'made', 'there', 'earlier' when an earlier life has left something and keys are missing, or 'later' when a later one has begun. A stream of before lives
-- were written down is kept.
local life = redis.call('GET', KEYS[2])
local own = tonumber(ARGV[1])
if life and tonumber(life) > own and ARGV[2] ~= '1' then return 'later' end
if life and tonumber(life) ~= own then
  if redis.call('SCARD', KEYS[3]) ~= tonumber(ARGV[3]) then return 'earlier' end
  for at = 1, #KEYS, 1000 do redis.call('UNLINK', unpack(KEYS, at, math.min(at + 999, #KEYS))) end
end
if life == ARGV[1] and redis.call('EXISTS', KEYS[1]) == 1 then return 'there' end
redis.call('SET', KEYS[2], ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 1 then return 'there' end
-- A stream comes into being with a group that is taken away again: Redis has no command that makes an empty stream.
redis.call('XGROUP', 'CREATE', KEYS[1], 'gmq-create', '$', 'MKSTREAM')
redis.call('XGROUP', 'DESTROY', KEYS[1], 'gmq-create')
return 'made'
