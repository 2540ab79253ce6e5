//! The index structures against naive models, damaged bytes and their promised sizes.

mod filter;
mod hot;
mod prefix;
