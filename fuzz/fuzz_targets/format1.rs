#![no_main]
//! See `mmstats_fuzz::format1`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| mmstats_fuzz::format1::run(data));
