-- A group's deletion is over: it may come into being again.
-- KEYS  1 group (hash)
-- ARGV  1 when it was deleted, in ms
-- Returns 1, or 0 when somebody else has ended this deletion.
if redis.call('HGET', KEYS[1], 'deletedMs') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1
