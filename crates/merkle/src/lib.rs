//! Proofs over the log: a map that commits to the whole history of every key, and nodes that
//! are named by their content.
//!
//! ```text
//! versions of keys ──map──▶ head (a record of the log) ──▶ proof ──verify──▶ verdict
//! data + links     ──dag──▶ id of the content, named roots ──CAR──▶ other programs
//! ```
//!
//! Everything here is **derived** from records of the log, or names them. This crate knows no
//! files, no clock and no log: it works on bytes and numbers.
#![forbid(unsafe_code)]

pub mod dag;
mod hashing;
pub mod map;
