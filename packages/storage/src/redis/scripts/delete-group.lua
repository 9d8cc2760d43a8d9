-- KEYS  1 group (hash)  2 sessions (sorted set)
-- ARGV  1 expected version
-- Returns 1, or 0 when the version moved.
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
return 1
