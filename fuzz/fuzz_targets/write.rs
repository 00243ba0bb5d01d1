#![no_main]
//! See `mmstats_fuzz::written`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| mmstats_fuzz::written::run(data));
