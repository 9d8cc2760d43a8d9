-- Registers entries as handed out to the partition's owner. No payload passes here.
-- KEYS  1 log (stream)  2 progress (hash)  3 pending (hash)
-- ARGV  1 group  2 member  3 epoch  4 position after the last entry  5 position that was read from  then pairs: entry id, record count
-- The caller may be a desk, one of several that read the partition: what another one took meanwhile, below the position, is not handed out to it.
-- Returns the position as it was, or the current epoch as an error FENCED when the caller is not the owner, or the position as an error REWOUND when the caller is ahead of it.
-- A write that needs no memory comes first, so that Redis at maxmemory lets the script go on (only a script's first write is refused).
redis.call('HDEL', KEYS[3], '')
local epoch = redis.call('HGET', KEYS[2], 'epoch')
if (epoch ~= ARGV[3] or redis.call('HGET', KEYS[2], 'owner') ~= ARGV[2]) and redis.call('HGET', KEYS[2], 'desk/' .. ARGV[2]) ~= ARGV[3] then
  return redis.error_reply('FENCED ' .. (epoch or 'none'))
end
local position = tonumber(redis.call('HGET', KEYS[2], 'position'))
-- The store lost its tail, and with it that these records were handed out: reading on would pass over what is stored in their place.
if tonumber(ARGV[5]) > position then return redis.error_reply('REWOUND ' .. string.format('%d', position)) end
local records = 0
local ids = {}
for at = 6, #ARGV, 2 do
  local id = ARGV[at]
  local base = string.match(id, '^%d+')
  -- Asked again after a lost answer: what is registered stays as it is.
  if tonumber(base) >= position then
    ids[#ids + 1] = id
    records = records + tonumber(ARGV[at + 1])
    redis.call('HSET', KEYS[3], base, ARGV[at + 1])
  end
end
if #ids > 0 then
  local claim = { 'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0 }
  for at = 1, #ids do claim[5 + at] = ids[at] end
  claim[#claim + 1] = 'FORCE'
  claim[#claim + 1] = 'JUSTID'
  redis.call(unpack(claim))
  redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], ids[#ids])
  redis.call('HSET', KEYS[2], 'position', ARGV[4])
  redis.call('HINCRBY', KEYS[2], 'unsettled', records)
end
return string.format('%d', position)
