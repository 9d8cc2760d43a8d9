-- KEYS  1 group (hash)  2 sessions (sorted set)
-- Returns { version, document or '', now in ms, run-out sessions, when it was deleted in ms, its partitions then as JSON }, the last two '' unless a deletion is under way.
local time = redis.call('TIME')
local now = string.format('%d', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local version = redis.call('HGET', KEYS[1], 'version') or '0'
return { version, redis.call('HGET', KEYS[1], 'document') or '', now, redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now),
  redis.call('HGET', KEYS[1], 'deletedMs') or '', redis.call('HGET', KEYS[1], 'partitions') or '' }
