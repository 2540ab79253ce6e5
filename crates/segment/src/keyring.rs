//! The key ring on the disk. **Truth**, in two copies, `KEYRING` and `log/keyring`: losing it
//! loses everything that is sealed.
//!
//! A change writes one copy after the other, each whole or not at all. The newer valid one
//! counts, so a crash at any step leaves the ring before the change or the one after it, and the
//! next open brings the other copy up.

use cairn_codec::seal::{KeyNumber, KeyRing, RING_LEN_MAX};
use cairn_codec::{CodecRegistry, Error as CodecError};
use cairn_vfs::{Vfs, path};

use crate::store::{read_whole, write_whole};
use crate::{Corruption, Error, Result};

/// Where the copies lie.
pub(crate) const RING_PATHS: [&str; 2] = ["KEYRING", "log/keyring"];

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct RingRead {
    /// The newer copy.
    pub(crate) ring: Option<KeyRing>,
    /// Copies that cannot be read, and those missing beside one that can.
    pub(crate) damaged: Vec<Corruption>,
    /// One copy is older.
    pub(crate) uneven: bool,
}

/// Reads both copies.
pub(crate) fn read_ring(vfs: &dyn Vfs) -> Result<RingRead> {
    let (mut read, mut missing) = (RingRead::default(), Vec::new());
    for path in RING_PATHS {
        let bytes = match read_whole(vfs, path, RING_LEN_MAX as u64) {
            Ok(bytes) => bytes,
            Err(Error::Vfs(error)) if error.is_not_found() => {
                missing.push(path);
                continue;
            }
            Err(Error::Corrupt(damage)) => {
                read.damaged.push(damage);
                continue;
            }
            Err(error) => return Err(error),
        };
        match (KeyRing::decode(&bytes), &read.ring) {
            (Err(error), _) => read.damaged.push(Corruption::new(path, 0, error.to_string())),
            (Ok(ring), None) => read.ring = Some(ring),
            (Ok(ring), Some(first)) => {
                read.uneven |= ring != *first;
                if ring.generation() > first.generation() {
                    read.ring = Some(ring);
                }
            }
        }
    }
    if read.ring.is_some() {
        let lacks = |path| Corruption::new(path, 0, "this copy of the key ring is missing");
        read.damaged.extend(missing.into_iter().map(lacks));
    }
    Ok(read)
}

/// Writes both copies, one after the other, and makes each survive a power cut.
pub(crate) fn write_ring(vfs: &dyn Vfs, ring: &KeyRing) -> Result<()> {
    let bytes = ring.encode();
    for place in RING_PATHS {
        write_whole(vfs, place, &bytes)?;
        vfs.sync_dir(path::split(place).0)?;
    }
    Ok(())
}

/// The codecs with the data keys of the store. Nothing is changed.
///
/// `sealed` is the data key that some file of the store names, if one does.
pub(crate) fn unlock(
    registry: &CodecRegistry,
    store_id: &[u8; 16],
    read: &RingRead,
    sealed: KeyNumber,
) -> Result<CodecRegistry> {
    let file = RING_PATHS[0].to_owned();
    let Some(ring) = &read.ring else {
        if let Some(damage) = read.damaged.first() {
            return Err(Error::Corrupt(damage.clone()));
        }
        if sealed == KeyNumber::NONE {
            return Ok(registry.clone());
        }
        let cause = "its key ring is missing, and without it no key opens it; restore the files \
                     KEYRING and log/keyring from a backup";
        return Err(Error::Sealed { file, cause: cause.into() });
    };
    if ring.store_id() != store_id {
        return Err(Error::ForeignSegment { file });
    }
    let cause = match registry.unlocked(ring) {
        Ok(unlocked) => return Ok(unlocked),
        Err(_) if registry.outer_keys().is_empty() => "give its key".to_owned(),
        Err(CodecError::KeyMissing { id }) => {
            format!("the key given is another one than that it needs, {id}")
        }
        Err(_) => "a data key does not open, so the key ring was changed".to_owned(),
    };
    Err(Error::Sealed { file, cause })
}

/// As [`unlock`], for those who look at the files of a store that is not open.
pub(crate) fn unlock_files(
    vfs: &dyn Vfs,
    registry: &CodecRegistry,
    store_id: &[u8; 16],
    sealed: KeyNumber,
) -> Result<(CodecRegistry, RingRead)> {
    let read = read_ring(vfs)?;
    let unlocked = unlock(registry, store_id, &read, sealed)?;
    Ok((unlocked, read))
}
