-- For nginx: what is known of the sale without asking anybody.
local told = ngx.shared.sales:get(ngx.var.sid)
if not ngx.var.http_x_user_id then
    return ngx.exit(401)
end
if told then
    ngx.status = 410
    ngx.header['Content-Length'] = #told
    ngx.print(told)
end
