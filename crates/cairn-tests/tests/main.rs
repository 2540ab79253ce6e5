//! Cross-crate behaviour: crashes, planted bugs, and each seed project's claims.

mod auth;
mod countdown;
mod countdown_keys;
mod crashes;
mod flips;
mod fuzzing;
mod many_keys;
mod mixed;
#[path = "../../ctl/tests/mount.rs"]
#[expect(dead_code, reason = "others need more of it")]
mod mount;
mod orders;
mod read_faults;
mod seeds;
mod signing;
mod soak;
