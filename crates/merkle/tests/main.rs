//! Trees, tiles, proofs and notes against public vectors, independent programs, damage and limits;
//! the key map against a model of histories and its proofs against tampering; the DAG and its
//! archives against hand-made bytes.

mod archive;
mod dag;
mod ids;
mod limits;
mod map_checkpoint;
mod map_model;
mod map_tamper;
mod map_update;
mod model;
mod notes;
mod oracles;
mod proof_files;
mod store_faults;
mod support;
mod tiles;
mod trees;
mod vectors;
