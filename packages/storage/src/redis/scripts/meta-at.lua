-- Id and meta of one entry, without its body.
-- KEYS  1 log (stream)
-- ARGV  1 id, - or +  2 'after': the first entry at or after the id, 'before': the last entry at or before it
-- Returns { id, meta, record count }, all '' when there is none.
local found
if ARGV[2] == 'after' then
  found = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', 1)[1]
else
  found = redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', 1)[1]
end
if not found then return { '', '', '' } end
local meta, count = '', ''
for at = 1, #found[2], 2 do
  if found[2][at] == 'm' then meta = found[2][at + 1] end
  if found[2][at] == 'n' then count = found[2][at + 1] end
end
return { found[1], meta, count }
