-- Notes that something was kept for later in a partition. Each time its score becomes less, by 1 ms at least, so that raise-delay.lua sees that it was noted.
-- KEYS  1 delayed partitions (sorted set)
-- ARGV  1 partition  2 when it is due, in ms
local due = tonumber(ARGV[2])
local score = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '')
if score and score - 1 < due then due = score - 1 end
return redis.call('ZADD', KEYS[1], string.format('%d', due), ARGV[1])
