//! See `cairn_tests::fuzz::envelopes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::envelopes(bytes));
