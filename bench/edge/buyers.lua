-- For wrk: each request comes from another buyer, and the figures are printed to be read.
-- Arguments: method, path.
local head

function init(args)
    math.randomseed(os.time())
    head = args[1] .. ' ' .. args[2] .. ' HTTP/1.1\r\nHost: shop.example\r\nX-User-Id: u'
end

function request()
    return head .. string.format('%012d', math.random(0, 999999999999)) .. '\r\n\r\n'
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format('figures %d %d %d %d %d %d\n', summary.requests, summary.duration,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
