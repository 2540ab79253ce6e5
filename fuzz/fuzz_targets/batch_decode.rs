//! See `cairn_tests::fuzz::batch_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::batch_decode(bytes));
