-- Takes a group's document away; that its partitions' sides have to go too stays noted until end-deletion.lua.
-- KEYS  1 group (hash)  2 sessions (sorted set)
-- ARGV  1 expected version  2 its partitions as JSON
-- Returns when that was, in ms, or '' when the version moved.
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return '' end
local time = redis.call('TIME')
local now = string.format('%d', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'version', string.format('%d', tonumber(ARGV[1]) + 1), 'deletedMs', now, 'partitions', ARGV[2])
return now
