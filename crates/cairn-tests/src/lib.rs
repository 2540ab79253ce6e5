//! The simulated life of a log: random work on a faulty disk, crashes at random operations,
//! recovery that is itself interrupted, and a plain list as the judge.
//!
//! What must hold after every crash: everything acknowledged on a `Sync` log is there; what is
//! there is a prefix of what was submitted, batch by batch; the chain verifies; recovering
//! twice gives the same as once.
//!
//! [`fuzz`] holds what the fuzz targets do with their bytes, so that every test run does it
//! too, on inputs it makes itself.
#![forbid(unsafe_code)]

pub mod fuzz;
pub mod life;
pub mod soaking;

pub use life::{Life, LifeConfig, Outcome, Tally};
