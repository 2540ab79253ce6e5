//! See `cairn_tests::fuzz::json_event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::json_event(bytes));
