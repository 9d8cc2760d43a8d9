-- Metas of entries, oldest first, without their bodies: what an appender needs to rebuild its producer table.
-- KEYS  1 log (stream)
-- ARGV  1 first id  2 how many at most
-- Returns { 1 when the stream exists, ids, metas, record counts }.
if redis.call('EXISTS', KEYS[1]) == 0 then return { 0, {}, {}, {} } end
local ids, metas, counts = {}, {}, {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])) do
  ids[#ids + 1] = entry[1]
  local fields = entry[2]
  for at = 1, #fields, 2 do
    if fields[at] == 'm' then metas[#ids] = fields[at + 1] end
    if fields[at] == 'n' then counts[#ids] = fields[at + 1] end
  end
end
return { 1, ids, metas, counts }
