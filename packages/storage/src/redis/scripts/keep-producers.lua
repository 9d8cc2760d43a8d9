-- Keeps a snapshot of the producers; never goes back behind one that is newer, nor outlives the topic that it is of.
-- KEYS  1 producers (hash)  2 life (string)
-- ARGV  1 offset up to which it is true  2 the snapshot  3 the life that the log had when it was read, '' when none was written down
-- Returns 1, or 0 when a newer one is there or the topic was made again.
-- A write that needs no memory comes first, so that Redis at maxmemory lets the script go on (only a script's first write is refused).
redis.call('HDEL', KEYS[1], '')
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[3] then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'upTo') or '-1') >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'upTo', ARGV[1], 'table', ARGV[2])
return 1
