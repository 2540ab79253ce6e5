//! Placeholder until the first slice lands.
#![forbid(unsafe_code)]
