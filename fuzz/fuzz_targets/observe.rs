#![no_main]
//! See `mmstats_fuzz::observed`.

libfuzzer_sys::fuzz_target!(|data: &[u8]| mmstats_fuzz::observed::run(data));
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let plain = |data: &mut [u8], size| libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    mmstats_fuzz::mutate::edit(data, size, seed, plain)
});
