#![no_main]
//! See `mmstats_fuzz::recording`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| mmstats_fuzz::recording::run(data));
