-- What of a partition a group has not settled. Changes nothing.
-- KEYS  1 log (stream)  2 progress (hash)  3 pending (hash)  4 retries (hash)
-- ARGV  1 group
-- Returns {} when the group has not begun there, else as claim.lua does, after that base offsets and ms since the entry was handed to who has it, and base offsets
-- and the desk that has the entry, for those that one has.
local position = redis.call('HGET', KEYS[2], 'position')
if not position then return {} end
local counts = {}
local idles = {}
local desks = {}
local isDesk = {}
local from = '-'
while true do
  local page = redis.call('XPENDING', KEYS[1], ARGV[1], from, '+', 500)
  for _, item in ipairs(page) do
    local base = string.match(item[1], '^%d+')
    if item[4] > 1 then
      counts[#counts + 1] = base
      counts[#counts + 1] = item[4]
    end
    idles[#idles + 1] = base
    idles[#idles + 1] = item[3]
    local holder = item[2]
    if isDesk[holder] == nil then isDesk[holder] = redis.call('HEXISTS', KEYS[2], 'desk/' .. holder) == 1 end
    if isDesk[holder] then
      desks[#desks + 1] = base
      desks[#desks + 1] = holder
    end
  end
  if #page < 500 then break end
  local base, sequence = string.match(page[#page][1], '^(%d+)-(%d+)$')
  from = base .. '-' .. string.format('%d', tonumber(sequence) + 1)
end
local time = redis.call('TIME')
local now = string.format('%d', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
return { position, now, redis.call('HGETALL', KEYS[3]), redis.call('HGETALL', KEYS[4]), counts, idles, desks }
