//! The key map against a model of histories, its proofs against every kind of tampering; the
//! DAG and its archives against hand-made bytes.

mod archive;
mod dag;
mod ids;
mod map_checkpoint;
mod map_model;
mod map_tamper;
mod map_update;
mod model;
