//! See `cairn_tests::fuzz::key_ring`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::key_ring(bytes));
