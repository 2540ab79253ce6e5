//! What was signed last. **Truth**: it cannot be rebuilt, and without it nothing is signed.
//!
//! `keys/signed`, little-endian, replaced whole and synced before a signature leaves:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | `CRNsgnd1`: what it is, and the version |
//! | 8 | 16 | store |
//! | 24 | 8 | size of the newest signed head, 0 before the first |
//! | 32 | 32 | its root |
//! | 64 | 8 | first bytes of SHA-256 over everything before |

use cairn_merkle::Hash;
use cairn_merkle::hash::sha256;
use cairn_merkle::log::TreeHead;
use cairn_vfs::Vfs;

use super::files::{self, Keep};
use super::{Error, Result};

const PATH: &str = "keys/signed";
const MAGIC: [u8; 8] = *b"CRNsgnd1";
const LEN: usize = 72;
const BODY_LEN: usize = 64;

/// The newest signed head; nothing when the file is missing.
pub(super) fn read(vfs: &dyn Vfs, store: &[u8; 16]) -> Result<Option<TreeHead>> {
    let Some(bytes) = files::read(vfs, PATH, LEN)? else { return Ok(None) };
    let damaged = |cause| Error::Damaged { file: PATH, cause };
    let bytes: [u8; LEN] = bytes.try_into().map_err(|_| damaged("another length"))?;
    let (body, check) = bytes.split_at(BODY_LEN);
    if &sha256(body).as_bytes()[..LEN - BODY_LEN] != check {
        return Err(damaged("another checksum"));
    }
    if body[..8] != MAGIC {
        return Err(damaged("another format"));
    }
    if body[8..24] != *store {
        return Err(damaged("it is of another store"));
    }
    let size = u64::from_le_bytes(*body[24..].first_chunk().expect("the length was checked"));
    Ok(Some(TreeHead { size, root: Hash::from_slice(&body[32..])? }))
}

/// Remembers a head, durably.
pub(super) fn write(vfs: &dyn Vfs, store: &[u8; 16], head: &TreeHead) -> Result<()> {
    let mut bytes = Vec::with_capacity(LEN);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(store);
    bytes.extend_from_slice(&head.size.to_le_bytes());
    bytes.extend_from_slice(head.root.as_bytes());
    let check = sha256(&bytes);
    bytes.extend_from_slice(&check.as_bytes()[..LEN - BODY_LEN]);
    assert_eq!(bytes.len(), LEN, "as the table says");
    files::replace(vfs, PATH, &bytes, Keep::Durably)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_vfs::{MemVfs, OpenMode};

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (vfs, store) = (MemVfs::new(), [3; 16]);
        assert_eq!(read(&vfs, &store).expect("reads"), None);
        let head = TreeHead { size: 77, root: Hash::new([9; 32]) };
        write(&vfs, &store, &head).expect("writes");
        assert_eq!(read(&vfs, &store).expect("reads"), Some(head));
        assert!(read(&vfs, &[4; 16]).is_err(), "of another store");
        let file = vfs.open(PATH, OpenMode::ReadWrite).expect("opens");
        for bit in 0..LEN * 8 {
            let mut byte = [0];
            file.read_exact_at(bit as u64 / 8, &mut byte).expect("reads");
            file.write_all_at(bit as u64 / 8, &[byte[0] ^ 1 << (bit % 8)]).expect("writes");
            assert!(read(&vfs, &store).is_err(), "bit {bit}");
            file.write_all_at(bit as u64 / 8, &byte).expect("writes");
        }
    }
}
