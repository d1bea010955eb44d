//! See `seckill_fuzz::payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seckill_fuzz::payload(bytes));
