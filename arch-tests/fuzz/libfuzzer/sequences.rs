#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| siding_fuzz::run(bytes));
