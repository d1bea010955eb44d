-- How many requests this second has had, and whether one more may pass: one counter a second.
-- KEYS: the second's counter. ARGV: the limit.
local seen = redis.call('INCR', KEYS[1])
if seen == 1 then
    redis.call('EXPIRE', KEYS[1], 2)
end
return seen <= tonumber(ARGV[1]) and 1 or 0
