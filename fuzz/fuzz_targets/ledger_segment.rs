#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::ledger_segment::check(input));
