-- Appends one small entry, tells whoever else listens, and registers the entry as handed out to owners who have everything before it: all in one step.
-- Its payload passes through Lua, which is cheap while it is small; larger entries are appended by XADD alone.
-- KEYS  1 log (stream)  then per owner: progress (hash), pending (hash)
-- ARGV  1 id  2 meta  3 record count  4 body  5 channel  6 end offset  7 channel of all listeners  8 channel of the caller as a listener
--       then per owner: group, member, epoch, base offset
-- Returns false when there is no such stream, the error of XADD, or per owner "" or the error of its registration. `deliver` is deliver.lua.
local added = redis.pcall('XADD', KEYS[1], 'NOMKSTREAM', ARGV[1], 'm', ARGV[2], 'n', ARGV[3], 'b', ARGV[4])
if not added then return false end
if type(added) == 'table' and added.err then return added end
-- The caller itself is told by the answer.
local counts = redis.pcall('PUBSUB', 'NUMSUB', ARGV[7], ARGV[8])
if type(counts) ~= 'table' or counts.err or counts[2] > counts[4] then redis.pcall('PUBLISH', ARGV[5], ARGV[6]) end
local answers = {}
for at = 9, #ARGV, 4 do
  local owner = #answers
  local ok, answer = pcall(
    deliver,
    { KEYS[1], KEYS[2 + 2 * owner], KEYS[3 + 2 * owner] },
    { ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[6], ARGV[at + 3], ARGV[1], ARGV[3] }
  )
  local problem = ok and type(answer) == 'table' and answer.err or ''
  if not ok then problem = type(answer) == 'table' and answer.err or tostring(answer) end
  answers[owner + 1] = problem
end
return answers
