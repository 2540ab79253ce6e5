//! See `cairn_tests::fuzz::record_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::record_decode(bytes));
