#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::plane_hello::check(input));
