-- What is pending of a partition, with who has claimed it or with anybody, from some entry on, as much as fits a page. Changes nothing.
-- KEYS  1 log (stream)  2 progress (hash)  3 pending (hash)  4 retries (hash)
-- ARGV  1 group  2 member  3 epoch  4 base offset to begin at  5 the most entries, and records that something is told of  6 '1' when the caller is a desk, '' when it
--       has claimed nothing (2 and 3 are '' then) and looks at what anybody has
-- Returns what claim.lua does, then the base offset where the next page begins, '' when there is none; or an error FENCED with the current epoch. To who has claimed
-- nothing {} when the group has not begun there, and after all that base offsets and ms since the entry was handed to who has it, and base offsets and the desk that
-- has the entry, for those that one has.
local epoch = redis.call('HGET', KEYS[2], 'epoch')
local position = redis.call('HGET', KEYS[2], 'position')
local isDesk = ARGV[6] == '1'
local looks = ARGV[6] == ''
if looks and not position then return {} end
local isOwner = epoch == ARGV[3] and redis.call('HGET', KEYS[2], 'owner') == ARGV[2]
if isDesk then isOwner = redis.call('HGET', KEYS[2], 'desk/' .. ARGV[2]) == ARGV[3] end
if not looks and not isOwner then return redis.error_reply('FENCED ' .. (epoch or 'none')) end

local most = tonumber(ARGV[5])
-- Few retries are told with every page, so that records need not be looked up one by one.
local tellsAllRetries = redis.call('HLEN', KEYS[4]) <= most
local pending = {}
local counts = {}
local idles = {}
local desks = {}
local isDeskOf = {}
local retries = {}
local fields = {}

-- Retries of the records that are gathered, some at once: Lua's stack holds them.
local function look()
  if #fields == 0 then return end
  local found = redis.call('HMGET', KEYS[4], unpack(fields))
  for at = 1, #fields do
    if found[at] then
      retries[#retries + 1] = fields[at]
      retries[#retries + 1] = found[at]
    end
  end
  fields = {}
end

local next = ''
local items = 0
local from = ARGV[4] .. '-0'
while next == '' do
  local page
  if isDesk then page = redis.call('XPENDING', KEYS[1], ARGV[1], from, '+', 500, ARGV[2])
  else page = redis.call('XPENDING', KEYS[1], ARGV[1], from, '+', 500) end
  for _, item in ipairs(page) do
    local base = string.match(item[1], '^%d+')
    local value = redis.call('HGET', KEYS[3], base)
    if value then
      local isWhole = string.find(value, '^%d') ~= nil
      local records = isWhole and tonumber(value) or #value
      local own = 1
      if not isWhole or not tellsAllRetries then own = records end
      if items > 0 and items + own > most then
        next = base
        break
      end
      items = items + own
      pending[#pending + 1] = base
      pending[#pending + 1] = value
      if item[4] > 1 then
        counts[#counts + 1] = base
        counts[#counts + 1] = item[4]
      end
      if looks then
        local holder = item[2]
        idles[#idles + 1] = base
        idles[#idles + 1] = item[3]
        if isDeskOf[holder] == nil then isDeskOf[holder] = redis.call('HEXISTS', KEYS[2], 'desk/' .. holder) == 1 end
        if isDeskOf[holder] then
          desks[#desks + 1] = base
          desks[#desks + 1] = holder
        end
      end
      if not tellsAllRetries then
        for index = 0, records - 1 do
          fields[#fields + 1] = string.format('%d', tonumber(base) + index)
          if #fields == 1000 then look() end
        end
      end
    end
  end
  if #page < 500 then break end
  local base, sequence = string.match(page[#page][1], '^(%d+)-(%d+)$')
  from = base .. '-' .. string.format('%d', tonumber(sequence) + 1)
end
look()
if tellsAllRetries then retries = redis.call('HGETALL', KEYS[4]) end
local time = redis.call('TIME')
local now = string.format('%d', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
return { position, now, pending, retries, counts, next, idles, desks }
