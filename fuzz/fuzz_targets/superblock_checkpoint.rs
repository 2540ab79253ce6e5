//! See `cairn_tests::fuzz::superblock_checkpoint`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cairn_tests::fuzz::superblock_checkpoint(bytes));
