//! See `cairn_tests::fuzz::password_hashes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::password_hashes(bytes));
