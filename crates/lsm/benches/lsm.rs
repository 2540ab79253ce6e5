//! The ordered store's hot paths.

fn main() {}
