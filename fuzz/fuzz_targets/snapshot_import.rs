//! See `cairn_tests::fuzz::snapshot_import`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::snapshot_import(bytes));
