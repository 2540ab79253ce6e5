//! See `cairn_tests::fuzz::segment_open`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::segment_open(bytes));
