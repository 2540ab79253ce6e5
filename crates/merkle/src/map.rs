//! The key map: one root that commits to the whole history of every key. **Derived**: built
//! from the log's puts and deletes up to [`MapHead::lsn_end`], and rebuilt from them.
//!
//! ```text
//! put, delete ─▶ VersionLeaf ─▶ RFC 6962 tree of the key's versions ─▶ count, root
//! keyspace, key ─▶ PathHash ─▶ place in a binary trie ◀──────────────────┘
//!                                     └─▶ MapHead { revision, lsn_end, key_count, root }
//! ```
//!
//! What is hashed (all numbers little-endian):
//!
//! | what | SHA-256 of |
//! |---|---|
//! | path of a key | `CRNmpk1\0`, keyspace u64, key |
//! | version leaf (RFC 6962) | `00`, the 80 bytes of [`VersionLeaf`] |
//! | root of a key's versions | RFC 6962 tree hash over its leaves, oldest first |
//! | entry of a key | `CRNmpe1\0`, path, count of versions u64, root of its versions |
//! | inner node | `CRNmpn1\0`, left, right; an empty side is 32 zero bytes |
//!
//! The bits of a path, highest first, lead to the entry. An entry stands at the shortest prefix
//! that is its alone; everything above is an inner node. So the root depends on the set of
//! entries only, never on the order, on batches or on how they lie in memory. The empty map's
//! root is 32 zero bytes.
//!
//! The count is committed and leaves are numbered by their place, so a proof that leaves out
//! a version does not lead to the root. What a head says is as true as whoever signs the log
//! that holds it: the root follows from the log alone, so anyone with the log can check it.
//!
//! ```
//! use cairn_merkle::map::{Claim, KeyMap, PathHash, VersionLeaf, Verdict, verify};
//! use cairn_types::{Lsn, Revision};
//!
//! let path = PathHash::of_key(1, b"colour");
//! let red = VersionLeaf::put(Revision::new(2), Lsn::new(0), b"red");
//! let blue = red.next_put(Revision::new(5), Lsn::new(1), b"blue");
//! let mut map = KeyMap::new();
//! map.update(&[(path, red), (path, blue)], 5, Lsn::new(2))?;
//!
//! let claim = Claim::at(path, 4);
//! let proof = map.prove(&claim, [red, blue].as_slice())?.encode();
//! let proof = cairn_merkle::map::KeyProof::decode(&proof)?;
//! let Verdict::Value(proven) = verify(&map.head(), &claim, &proof)? else { panic!() };
//! assert!(proven.version.holds(b"red"));
//! # Ok::<(), cairn_merkle::map::Error>(())
//! ```

mod arena;
mod checkpoint;
mod cursor;
mod entry;
mod error;
mod head;
mod history;
mod node;
mod path;
mod proof;
mod prove;
mod trie;
mod update;
mod verify;
mod version;

pub use error::{Error, Result};
pub use head::{MAP_HEAD_LEN, MapHead};
pub use history::HistorySource;
pub use path::PathHash;
pub use proof::{Ending, KeyProof, MAX_PROOF_LEN, MAX_PROVEN_VERSIONS};
pub use trie::{KeyMap, PathProof};
pub use verify::{Absence, Claim, Proven, Question, Verdict, verify};
pub use version::{VERSION_LEAF_LEN, VersionLeaf};
