-- Where a group stands in a partition, in one round trip and without bodies.
-- KEYS  1 log (stream)  2 progress (hash)
-- ARGV  1 group
-- Returns { position, unsettled, lost, entries, first id, last id, record count of the last, meta of the oldest entry that is not settled }; { '' } when the
-- group has not begun there.
local progress = redis.call('HMGET', KEYS[2], 'position', 'unsettled', 'lost')
if not progress[1] then return { '' } end
local answer = { progress[1], progress[2] or '0', progress[3] or '0', 0, '', '', '0', '' }
if redis.call('EXISTS', KEYS[1]) == 0 then return answer end
answer[4] = redis.call('XLEN', KEYS[1])
if answer[4] == 0 then return answer end
-- Each entry read here is copied with its body: the ends are read once, and serve as the oldest where they are it.
local function metaOf(entry)
  for at = 1, #entry[2], 2 do
    if entry[2][at] == 'm' then return entry[2][at + 1] end
  end
  return ''
end
local from = progress[1] .. '-0'
if tonumber(answer[2]) > 0 then
  local oldest = redis.call('XPENDING', KEYS[1], ARGV[1])[2]
  if oldest then from = oldest end
end
local wanted = tonumber(string.match(from, '^%d+'))
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
answer[6] = last[1]
for at = 1, #last[2], 2 do
  if last[2][at] == 'n' then answer[7] = last[2][at + 1] end
end
local lastBase = tonumber(string.match(last[1], '^%d+'))
if wanted == lastBase then answer[8] = metaOf(last) end
if answer[4] == 1 then
  answer[5] = last[1]
  if wanted < lastBase then answer[8] = metaOf(last) end
  return answer
end
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
answer[5] = first[1]
if wanted <= tonumber(string.match(first[1], '^%d+')) then
  answer[8] = metaOf(first)
elseif wanted < lastBase then
  local oldest = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)[1]
  if oldest then answer[8] = metaOf(oldest) end
end
return answer
