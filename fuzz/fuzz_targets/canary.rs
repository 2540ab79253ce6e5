//! Must be found failing within seconds, or the fuzzer itself does not work.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| assert!(!bytes.starts_with(b"CRN"), "the canary died"));
