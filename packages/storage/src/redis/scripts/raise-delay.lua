-- Puts off the next look at a partition, unless something was noted since its score was read.
-- KEYS  1 delayed partitions (sorted set)
-- ARGV  1 partition  2 its score as it was read, '' when it had none  3 time of the next look, in ms
-- Returns 1, or 0 when something was noted since.
if (redis.call('ZSCORE', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return 1
