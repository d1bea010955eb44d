<?php

// Whether seckill-proxy has sent this request: seckill_verify($_SERVER, $keys). $keys has the
// secrets by the names of the keys.
function seckill_verify(array $server, array $keys, ?int $now = null): bool
{
    $pattern = '/^v1=([\w-]+):([0-9a-f]{64})$/D';
    $timestamp = $server['HTTP_SECKILL_TIMESTAMP'] ?? '';
    if (!preg_match($pattern, $server['HTTP_SECKILL_SIGNATURE'] ?? '', $signature)
        || !isset($keys[$signature[1]])
        || !preg_match('/^\d{1,12}$/D', $timestamp)
        || abs(($now ?? time()) - (int) $timestamp) > 300) {
        return false;
    }
    $text = implode("\n", [
        'v1', $timestamp, $server['REQUEST_METHOD'], $server['REQUEST_URI'],
        $server['HTTP_SECKILL_SALE'] ?? '', $server['HTTP_SECKILL_USER'] ?? '',
        $server['HTTP_SECKILL_RESERVATION'] ?? '', $server['HTTP_SECKILL_QUANTITY'] ?? '',
    ]);
    return hash_equals(hash_hmac('sha256', $text, $keys[$signature[1]]), $signature[2]);
}
