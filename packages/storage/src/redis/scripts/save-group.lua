-- Compare-and-set of a group's document, and of its sessions with it.
-- KEYS  1 group (hash)  2 sessions (sorted set)
-- ARGV  1 expected version  2 document  3 number of renewals  4 number of removals  5 number of expiries  then pairs session, timeout in ms; sessions; sessions
-- Returns 1, or 0 when the version moved or a session that should have run out is alive.
-- A write that needs no memory comes first, so that Redis at maxmemory lets the script go on (only a script's first write is refused).
redis.call('ZREM', KEYS[2], '')
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local renewals, removals, expiries = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local expired = 5 + renewals * 2 + removals
for at = expired + 1, expired + expiries do
  local deadline = redis.call('ZSCORE', KEYS[2], ARGV[at])
  if deadline and tonumber(deadline) > now then return 0 end
end
for at = 6 + renewals * 2, expired + expiries do redis.call('ZREM', KEYS[2], ARGV[at]) end
for at = 6, 5 + renewals * 2, 2 do redis.call('ZADD', KEYS[2], string.format('%d', now + tonumber(ARGV[at + 1])), ARGV[at]) end
redis.call('HSET', KEYS[1], 'version', string.format('%d', tonumber(ARGV[1]) + 1), 'document', ARGV[2])
return 1
