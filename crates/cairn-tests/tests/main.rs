//! Cross-crate behaviour: crashes, planted bugs, and each seed project's claims.

mod auth;
mod countdown;
mod crashes;
mod fuzzing;
mod many_keys;
mod orders;
mod read_faults;
mod seeds;
mod signing;
mod soak;
