-- Metas of entries, oldest first, without their bodies: what an appender needs to rebuild its producer table.
-- KEYS  1 log (stream)  2 producers (hash)
-- ARGV  1 offset to begin at  2 how many at most
-- Returns { 1 when the stream exists, ids, metas, record counts }; { 2 } when entries behind the offset were trimmed meanwhile: a newer snapshot has their producers.
if redis.call('EXISTS', KEYS[1]) == 0 then return { 0, {}, {}, {} } end
local found = redis.call('XRANGE', KEYS[1], ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])
local from = tonumber(ARGV[1])
if tonumber(redis.call('HGET', KEYS[2], 'upTo') or '0') > from and (not found[1] or tonumber(string.match(found[1][1], '^%d+')) > from) then return { 2 } end
local ids, metas, counts = {}, {}, {}
for _, entry in ipairs(found) do
  ids[#ids + 1] = entry[1]
  local fields = entry[2]
  for at = 1, #fields, 2 do
    if fields[at] == 'm' then metas[#ids] = fields[at + 1] end
    if fields[at] == 'n' then counts[#ids] = fields[at + 1] end
  end
end
return { 1, ids, metas, counts }
