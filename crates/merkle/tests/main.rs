//! Trees, tiles, proofs and notes against public vectors, independent programs, damage and limits.

mod limits;
mod notes;
mod oracles;
mod proof_files;
mod store_faults;
mod support;
mod tiles;
mod trees;
mod vectors;
