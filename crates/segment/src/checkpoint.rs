//! Checkpoint records: the log writes down its own chain value, so that a verified read can
//! start there instead of at the beginning. Truth (ordinary records of the system stream).
//!
//! Payload of a checkpoint record:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | version = 1 |
//! | 1 | 1 | flags: 1 = a tree root follows |
//! | 2 | 6 | zero |
//! | 8 | 8 | tree size: records before the checkpoint, which is its own LSN |
//! | 16 | 32 | chain value after those records |
//! | 48 | 32 | RFC 6962 root over those records, with flag 1 |

use cairn_codec::{BATCH_HEADER_LEN, Draft, RecordDraft, RecordKind, SequenceRule};
use cairn_types::{ChainHash, Lsn, StreamId};

/// Bytes of a payload without a root.
const PLAIN_LEN: usize = 48;
const ROOT_LEN: usize = 32;
const VERSION: u8 = 1;

/// Upper bound of an encoded batch that holds one checkpoint.
pub(crate) const ENCODED_LEN_MAX: usize = BATCH_HEADER_LEN + 64 + PLAIN_LEN + ROOT_LEN;

/// What a checkpoint record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Records before the checkpoint.
    pub tree_size: u64,
    /// Chain value after those records.
    pub chain: ChainHash,
    /// RFC 6962 root over those records, when a tree was kept.
    pub root: Option<[u8; 32]>,
}

impl Checkpoint {
    /// The payload of the record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(PLAIN_LEN + ROOT_LEN);
        payload.extend_from_slice(&[VERSION, u8::from(self.root.is_some()), 0, 0, 0, 0, 0, 0]);
        payload.extend_from_slice(&self.tree_size.to_le_bytes());
        payload.extend_from_slice(self.chain.as_bytes());
        if let Some(root) = &self.root {
            payload.extend_from_slice(root);
        }
        payload
    }

    /// Reads a payload; `None` when it is not one that [`encode`](Self::encode) writes.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (head, rest) = payload.split_first_chunk::<8>()?;
        let has_root = match head {
            [VERSION, flags @ (0 | 1), 0, 0, 0, 0, 0, 0] => *flags == 1,
            _ => return None,
        };
        let (size, rest) = rest.split_first_chunk::<8>()?;
        let (chain, rest) = rest.split_first_chunk::<32>()?;
        let root = match (has_root, rest) {
            (false, []) => None,
            (true, root) => Some(<[u8; 32]>::try_from(root).ok()?),
            _ => return None,
        };
        let (tree_size, chain) = (u64::from_le_bytes(*size), ChainHash::new(*chain));
        Some(Self { tree_size, chain, root })
    }
}

/// A draft that holds one checkpoint.
pub(crate) fn draft(lsn: Lsn, chain: ChainHash, number: u64) -> Draft {
    let mut draft = Draft::new();
    let payload = Checkpoint { tree_size: lsn.get(), chain, root: None }.encode();
    draft
        .push(
            RecordDraft {
                kind: RecordKind::CHECKPOINT,
                stream: StreamId::SYSTEM,
                sequence: SequenceRule::At(number),
                timestamp: None,
                key: None,
                facts: None,
                salted: false,
            },
            &payload,
        )
        .expect("a checkpoint is far below every limit");
    draft
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoint_survives_a_round_trip() {
        for root in [None, Some([9; 32])] {
            let checkpoint = Checkpoint { tree_size: 7, chain: ChainHash::new([3; 32]), root };
            let payload = checkpoint.encode();
            assert_eq!(Checkpoint::decode(&payload), Some(checkpoint));
            for len in 0..payload.len() {
                assert_eq!(Checkpoint::decode(&payload[..len]), None, "cut to {len}");
            }
        }
    }
}
