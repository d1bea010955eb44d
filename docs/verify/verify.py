import hashlib
import hmac
import time


def verify(method, target, headers, keys, now=None):
    """Whether seckill-proxy has sent this request.

    target: path and query as they came. headers: by lower-case names, with values as WSGI has them.
    keys: the secrets, as bytes, by the names of the keys.
    """
    now = time.time() if now is None else now
    version, _, signature = headers.get("seckill-signature", "").partition("=")
    kid, _, mac = signature.partition(":")
    timestamp = headers.get("seckill-timestamp", "")
    if version != "v1" or kid not in keys or not timestamp.isdecimal():
        return False
    if abs(now - int(timestamp)) > 300:
        return False
    told = [headers.get("seckill-" + name, "") for name in ("sale", "user", "reservation", "quantity")]
    text = "\n".join([version, timestamp, method, target, *told])
    expected = hmac.new(keys[kid], text.encode("latin-1"), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), mac.encode("latin-1"))
