-- First and last entry of a log, without their bodies.
-- KEYS  1 log (stream)
-- Returns { entries, first id, last id, record count of the last, meta of the last, meta of the first }; ids and metas are '' when there is none; entries is -1
-- without a stream.
if redis.call('EXISTS', KEYS[1]) == 0 then return { -1, '', '', '0', '', '' } end
local length = redis.call('XLEN', KEYS[1])
if length == 0 then return { 0, '', '', '0', '', '' } end
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local firstMeta, meta, count = '', '', '0'
for at = 1, #first[2], 2 do
  if first[2][at] == 'm' then firstMeta = first[2][at + 1] end
end
for at = 1, #last[2], 2 do
  if last[2][at] == 'm' then meta = last[2][at + 1] end
  if last[2][at] == 'n' then count = last[2][at + 1] end
end
return { length, first[1], last[1], count, meta, firstMeta }
