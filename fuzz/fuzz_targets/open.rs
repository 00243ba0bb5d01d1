#![no_main]
//! See `mmstats_fuzz::open`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| mmstats_fuzz::open::run(data));
