#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::netlink_messages::check(input));
