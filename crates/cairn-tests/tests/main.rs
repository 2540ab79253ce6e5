//! Cross-crate behaviour: crashes, planted bugs, and each seed project's claims.

mod crashes;
