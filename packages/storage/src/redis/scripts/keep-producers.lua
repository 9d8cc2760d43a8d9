-- Keeps a snapshot of the producers; never goes back behind one that is newer.
-- KEYS  1 producers (hash)
-- ARGV  1 offset up to which it is true  2 the snapshot
-- Returns 1, or 0 when a newer one is there.
-- A write that needs no memory comes first, so that Redis at maxmemory lets the script go on (only a script's first write is refused).
redis.call('HDEL', KEYS[1], '')
if tonumber(redis.call('HGET', KEYS[1], 'upTo') or '-1') >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'upTo', ARGV[1], 'table', ARGV[2])
return 1
