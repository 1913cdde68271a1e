#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::tacacs_reply::check(input));
