//! Signed notes: text that anybody can check, in the form of C2SP `signed-note`, and what a log
//! signs with them.
//!
//! ```text
//! example.com/log                                  ┐ text, which the signatures are over;
//! 109482                                           │ here a checkpoint
//! sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=     ┘
//!                                                    empty line
//! — example.com/log hI2DJw...1roloI=               ┐ one line a signature: name of the key,
//! — witness.example mJirIklj...qY9v2B/5bg==        ┘ base64 of (4 bytes key id | signature)
//! ```
//!
//! | module | what it owns |
//! |---|---|
//! | [`text`] | the form: parsing, formatting, limits |
//! | [`key`] | names, ids, verifier keys |
//! | [`signer`] | private keys |
//! | [`verify`] | which signatures count |
//! | [`checkpoint`] | the text that stands for a tree |
//! | [`cosignature`] | what a witness signs: a checkpoint and the time |
//! | [`policy`] | whose signatures a checkpoint needs |
//!
//! Pure: no files, no clock; random bytes for new keys come as an argument. Truth or derived: a
//! signed checkpoint is neither; it is what others hold the log to.

pub mod checkpoint;
pub mod cosignature;
pub mod key;
pub mod policy;
pub mod signer;
pub mod text;
pub mod verify;

pub use checkpoint::Checkpoint;
pub use cosignature::Cosignature;
pub use key::{KeyId, KeyName, SignatureKind, Verifier};
pub use policy::{Policy, VerifiedCheckpoint};
pub use signer::Signer;
pub use text::{Note, SignatureLine};
pub use verify::VerifiedSignature;
