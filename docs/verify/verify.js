const crypto = require('node:crypto');

// Whether seckill-proxy has sent this request. For http.IncomingMessage: verify(req.method, req.url,
// req.headers, keys). keys is a Map of the secrets by the names of the keys.
function verify(method, target, headers, keys, now = Date.now() / 1000) {
  const signature = /^v1=([\w-]+):([0-9a-f]{64})$/.exec(headers['seckill-signature'] ?? '');
  const timestamp = headers['seckill-timestamp'] ?? '';
  if (!signature || !keys.has(signature[1]) || !/^\d{1,12}$/.test(timestamp)) return false;
  if (Math.abs(now - Number(timestamp)) > 300) return false;
  const told = ['sale', 'user', 'reservation', 'quantity'].map((name) => headers[`seckill-${name}`]);
  const text = ['v1', timestamp, method, target, ...told].join('\n');
  const expected = crypto.createHmac('sha256', keys.get(signature[1])).update(text, 'latin1').digest();
  return crypto.timingSafeEqual(expected, Buffer.from(signature[2], 'hex'));
}

module.exports = { verify };
