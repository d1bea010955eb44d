-- For nginx: asks the script in Redis for a unit, over a connection that is kept. Debian has no
-- package of lua-resty-redis; this does what it does for one command, in fewer steps.
-- What it is for stands in config.lua next to it.
local config = require 'config'

local function command(...)
    local words = { ... }
    local text = { '*' .. #words .. '\r\n' }
    for at, word in ipairs(words) do
        word = tostring(word)
        text[at + 1] = '$' .. #word .. '\r\n' .. word .. '\r\n'
    end
    return text
end

local function read(redis)
    local line, err = redis:receive()
    if not line then
        return nil, err
    end
    local sign, rest = line:sub(1, 1), line:sub(2)
    if sign == '+' then
        return rest
    elseif sign == ':' then
        return tonumber(rest)
    elseif sign == '$' then
        local text = redis:receive(tonumber(rest))
        redis:receive(2)
        return text
    elseif sign == '*' then
        local all = {}
        for at = 1, tonumber(rest) do
            all[at] = read(redis)
        end
        return all
    end
    return nil, rest
end

local function ask(...)
    local redis = ngx.socket.tcp()
    redis:settimeout(1000)
    local ok, err = redis:connect(config.host, config.port)
    if not ok then
        return nil, err
    end
    if redis:getreusedtimes() == 0 then
        redis:send(command('AUTH', config.user, config.password))
        read(redis)
    end
    ok, err = redis:send(command(...))
    if not ok then
        return nil, err
    end
    local answer
    answer, err = read(redis)
    redis:setkeepalive(60000, 256)
    return answer, err
end

local sid, uid = ngx.var.sid, ngx.var.http_x_user_id
if not uid then
    return ngx.exit(401)
end
local sale = '{' .. sid .. '}:'
local verdict, err = ask('EVALSHA', config.sha, 5, sale .. 'stock', sale .. 'buyers',
    sale .. 'holds', sale .. 'log', sale .. 'rate:' .. uid, uid, 1, 1, config.tries, 1000, 900000)
if not verdict then
    ngx.log(ngx.ERR, err)
    return ngx.exit(503)
end
local body
if verdict[1] == 'ACCEPTED' then
    ngx.status, body = 202, '{"status":"queued"}'
elseif verdict[1] == 'SOLDOUT' then
    ngx.status, body = 410, '{"title":"Sold out","status":410,"code":"sold_out"}'
else
    ngx.status, body = 429, '{"title":"Too many tries","status":429,"code":"limited"}'
end
ngx.header['Content-Length'] = #body
ngx.print(body)
