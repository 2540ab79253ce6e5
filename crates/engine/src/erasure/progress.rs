//! How far erasures were carried out. **Derived**: `proofs/erasures` spares the next opening
//! looking after what was done; when it is missing, damaged or of another store, all erasures of
//! the log are looked after again, which changes nothing where they were carried out.
//!
//! Little-endian:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | `CRNeras1`: what it is, and the version |
//! | 8 | 16 | store |
//! | 24 | 8 | all erasures recorded before this LSN are carried out |
//! | 32 | 8 | first bytes of SHA-256 over everything before |

use cairn_merkle::hash::sha256;
use cairn_types::Lsn;
use cairn_vfs::Vfs;

use crate::proof::files::{self, Keep};

const PATH: &str = "proofs/erasures";
const MAGIC: [u8; 8] = *b"CRNeras1";
const BODY_LEN: usize = 32;
const LEN: usize = 40;
const _: () = assert!(LEN == BODY_LEN + 8);

/// All erasures recorded before this LSN are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    pub(crate) until: Lsn,
}

impl Progress {
    /// What the file says; nothing when it says nothing.
    pub(crate) fn read(vfs: &dyn Vfs, store: &[u8; 16]) -> Self {
        // Whatever is wrong with it costs only another look at every erasure.
        let bytes = files::read(vfs, PATH, LEN).ok().flatten().unwrap_or_default();
        Self::decode(&bytes, store).unwrap_or_default()
    }

    fn decode(bytes: &[u8], store: &[u8; 16]) -> Option<Self> {
        let bytes: &[u8; LEN] = bytes.try_into().ok()?;
        let (body, check) = bytes.split_at(BODY_LEN);
        let is_ours = sha256(body).as_bytes()[..8] == *check
            && body[..8] == MAGIC
            && body[8..24] == store[..];
        let until = u64::from_le_bytes(*body[24..].first_chunk()?);
        is_ours.then(|| Self { until: Lsn::new(until) })
    }

    /// Writes the file. What it says is on the disk before.
    pub(crate) fn write(self, vfs: &dyn Vfs, store: &[u8; 16]) -> crate::proof::Result<()> {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(store);
        bytes.extend_from_slice(&self.until.get().to_le_bytes());
        let check = sha256(&bytes);
        bytes.extend_from_slice(&check.as_bytes()[..LEN - BODY_LEN]);
        files::replace(vfs, PATH, &bytes, Keep::Loosely)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_vfs::{MemVfs, OpenMode};

    #[test]
    fn a_damaged_file_says_nothing_was_done() {
        let (vfs, store) = (MemVfs::new(), [3; 16]);
        let progress = Progress { until: Lsn::new(77) };
        assert_eq!(Progress::read(&vfs, &store), Progress::default());
        progress.write(&vfs, &store).expect("writes");
        assert_eq!(Progress::read(&vfs, &store), progress);
        assert_eq!(Progress::read(&vfs, &[4; 16]), Progress::default());
        let file = vfs.open(PATH, OpenMode::ReadWrite).expect("opens");
        for bit in 0..LEN * 8 {
            let mut byte = [0];
            file.read_exact_at(bit as u64 / 8, &mut byte).expect("reads");
            file.write_all_at(bit as u64 / 8, &[byte[0] ^ 1 << (bit % 8)]).expect("writes");
            assert_eq!(Progress::read(&vfs, &store), Progress::default(), "bit {bit}");
            file.write_all_at(bit as u64 / 8, &byte).expect("writes");
        }
    }
}
