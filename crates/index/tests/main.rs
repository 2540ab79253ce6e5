//! The index structures against naive models, damaged bytes and their promised sizes.

mod filter;
mod hot;
mod key_history;
mod prefix;
mod sparse;
