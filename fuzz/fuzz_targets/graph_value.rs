//! See `cairn_tests::fuzz::graph_value`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::graph_value(bytes));
