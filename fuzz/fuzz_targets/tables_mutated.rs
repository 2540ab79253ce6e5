//! See `cairn_tests::fuzz::tables_mutated`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::tables_mutated(bytes));
