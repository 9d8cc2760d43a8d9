-- The groups that have begun in a partition.
-- KEYS  1 log (stream)  2 groups (set)
-- Returns { how many are written down, their names, and those that only the stream knows: they began before groups were written down }.
local names = redis.call('SMEMBERS', KEYS[2])
local reply = { #names }
local known = {}
for _, name in ipairs(names) do
  known[name] = true
  reply[#reply + 1] = name
end
local ofStream = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if ofStream.err then return reply end
for _, group in ipairs(ofStream) do
  if not known[group[2]] then reply[#reply + 1] = group[2] end
end
return reply
