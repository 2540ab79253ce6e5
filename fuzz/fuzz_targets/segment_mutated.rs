//! See `cairn_tests::fuzz::segment_mutated`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::segment_mutated(bytes));
