-- Renews sessions of one group by the store's clock; one that ran out or was taken over stays away.
-- KEYS  1 group (hash)  2 sessions (sorted set)
-- ARGV  pairs: session, timeout in ms
-- Returns { version, 1 when some session of the group ran out, ms until the next one does or -1 without any, then 1 or 0 for each session }.
-- A write that needs no memory comes first, so that Redis at maxmemory lets the script go on (only a script's first write is refused).
redis.call('ZREM', KEYS[2], '')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local answer = { redis.call('HGET', KEYS[1], 'version') or '0', 0, -1 }
for at = 1, #ARGV, 2 do
  local deadline = redis.call('ZSCORE', KEYS[2], ARGV[at])
  local alive = deadline and tonumber(deadline) > now
  if alive then redis.call('ZADD', KEYS[2], 'XX', string.format('%d', now + tonumber(ARGV[at + 1])), ARGV[at]) end
  answer[#answer + 1] = alive and 1 or 0
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if first[2] then answer[3] = math.max(0, tonumber(first[2]) - now) end
if redis.call('ZCOUNT', KEYS[2], '-inf', string.format('%d', now)) > 0 then answer[2] = 1 end
return answer
