//! See `cairn_tests::fuzz::value_codecs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::value_codecs(bytes));
