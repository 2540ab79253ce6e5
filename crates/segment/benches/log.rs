//! Hot path benchmark.
fn main() {}
