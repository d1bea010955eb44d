-- What a good team writes today instead of a module: one script that decides one try, with the rules
-- that SECKILL.TRY has, and leaves behind what SECKILL.TRY leaves behind: a buyer who cannot buy
-- twice, a hold with a deadline, and an event for whoever writes the order.
--
-- KEYS  stock   units left
--       buyers  hash: buyer -> units he has
--       holds   sorted set: reservation -> its deadline
--       log     stream of acceptances
--       window  tries of this buyer in the current window
-- ARGV  uid, units, units a buyer may have, tries a window (0: no window), length of a window in ms, hold in ms
local stock, buyers, holds, log, window = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local uid, units = ARGV[1], tonumber(ARGV[2])

local allowed = tonumber(ARGV[4])
if allowed > 0 then
    local tries = redis.call('INCR', window)
    if tries == 1 then
        redis.call('PEXPIRE', window, ARGV[5])
    end
    if tries > allowed then
        return {'LIMITED', redis.call('PTTL', window)}
    end
end

local has = tonumber(redis.call('HGET', buyers, uid) or 0)
if has + units > tonumber(ARGV[3]) then
    return {'DUPLICATE', has}
end

if tonumber(redis.call('GET', stock) or 0) < units then
    return {'SOLDOUT', -1}
end

local time = redis.call('TIME')
local deadline = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[6]
redis.call('DECRBY', stock, units)
redis.call('HINCRBY', buyers, uid, units)
local reservation = redis.call('XADD', log, '*', 'uid', uid, 'units', units, 'deadline', deadline)
redis.call('ZADD', holds, deadline, reservation)
return {'ACCEPTED', reservation}
