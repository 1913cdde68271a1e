#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::counter_map::check(input));
