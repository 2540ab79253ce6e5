//! See `cairn_tests::fuzz::graph_key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::graph_key(bytes));
