-- KEYS  1 sessions (sorted set)
-- Returns { now in ms, session, deadline in ms, session, deadline in ms, … }.
local time = redis.call('TIME')
local now = string.format('%d', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local answer = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf', 'WITHSCORES')
table.insert(answer, 1, now)
return answer
