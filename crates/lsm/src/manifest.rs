//! The manifest: which tables there are, and up to which place in the log they reach. Derived.
//! It is replaced whole, by a new file under the old name: an edit is there or not.
//!
//! Layout, version 1, little-endian:
//!
//! | width | field |
//! |---|---|
//! | 8 | magic `CAIRNMFT` |
//! | 2 | version, 1 |
//! | 2 | zero |
//! | 4 | CRC-32 of all that follows, salted with `cairn manifest\0\0` |
//! | 16 | id of the store that the tables belong to |
//! | 8 | position: the tables hold what the log says before this LSN |
//! | 32 | leaf hash of the record before the position; zeroes at the beginning |
//! | 8 | greatest sequence in tables |
//! | 8 | oldest sequence that readers may ask for |
//! | 8 | number of the next table |
//! | 4 | tables, n |
//! | 4 | length of the notes |
//! | n x | a table, see below |
//! | | notes of the layer above |
//!
//! A table:
//!
//! | width | field |
//! |---|---|
//! | 1 | level |
//! | 8 | number |
//! | 8 | length of the file |
//! | 8 | versions |
//! | 8 | sum of the weights, signed |
//! | 8 | greatest sequence |
//! | 8 | least reference |
//! | 2, then that many | first key |
//! | 2, then that many | last key |

use bytes::Bytes;
use cairn_codec::SaltedCrc;
use cairn_types::limits::MAX_INDEX_KEY_LEN;
use cairn_vfs::{OpenMode, Vfs};

use crate::table::Built;
use crate::{Error, Result};

pub(crate) const FILE: &str = "MANIFEST";
const TEMPORARY: &str = "MANIFEST.new";
const MAGIC: &[u8; 8] = b"CAIRNMFT";
const VERSION: u16 = 1;
const SALT: &[u8; 16] = b"cairn manifest\0\0";
const BODY_AT: usize = 16;

/// Longest manifest: a million tables and their keys stay far below.
const LEN_MAX: u64 = 1 << 30;

/// The last level; the first is 0.
pub(crate) const LEVEL_MAX: u8 = 7;

/// Where in the log the tables end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// They hold what the log says before this LSN.
    pub lsn: u64,
    /// Leaf hash of the record before it: tables of another past are noticed.
    pub leaf: [u8; 32],
}

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Manifest {
    pub(crate) store: [u8; 16],
    pub(crate) position: Position,
    pub(crate) sequence: u64,
    pub(crate) oldest: u64,
    pub(crate) next_id: u64,
    /// With their levels; those of level 0 newest first, others by key.
    pub(crate) tables: Vec<(u8, Built)>,
    /// What the layer above wants to find again.
    pub(crate) notes: Bytes,
}

impl Manifest {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.tables.len() * 128 + self.notes.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&self.store);
        out.extend_from_slice(&self.position.lsn.to_le_bytes());
        out.extend_from_slice(&self.position.leaf);
        for number in [self.sequence, self.oldest, self.next_id] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for len in [self.tables.len(), self.notes.len()] {
            let len = u32::try_from(len).expect("a manifest is far smaller");
            out.extend_from_slice(&len.to_le_bytes());
        }
        for (level, table) in &self.tables {
            out.push(*level);
            for number in [
                table.id,
                table.len,
                table.versions,
                table.weight.cast_unsigned(),
                table.sequence_max,
                table.reference_min,
            ] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            for key in [&table.first_key, &table.last_key] {
                let len = u16::try_from(key.len()).expect("keys are limited to less");
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(key);
            }
        }
        out.extend_from_slice(&self.notes);
        let check = SaltedCrc::new(SALT).checksum(&out[BODY_AT..]);
        out[12..BODY_AT].copy_from_slice(&check.to_le_bytes());
        out
    }

    /// Checks and decodes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let corrupt = |cause| Error::corrupt(FILE, 0, cause);
        let header: &[u8; BODY_AT] = bytes.first_chunk().ok_or(corrupt("it is cut short"))?;
        if &header[..8] != MAGIC {
            return Err(corrupt("its magic is wrong"));
        }
        let body = bytes.get(BODY_AT..).unwrap_or_default();
        if header[12..] != SaltedCrc::new(SALT).checksum(body).to_le_bytes() {
            return Err(corrupt("its CRC is wrong"));
        }
        let found = u16::from_le_bytes([header[8], header[9]]);
        if found != VERSION {
            return Err(Error::UnsupportedVersion { file: FILE.to_owned(), found });
        }
        if header[10..12] != [0; 2] {
            return Err(corrupt("a reserved byte is not zero"));
        }
        Self::decode_body(body).ok_or(corrupt("its fields do not fit its length"))
    }

    fn decode_body(mut body: &[u8]) -> Option<Self> {
        let at = &mut body;
        let store = take::<16>(at)?;
        let lsn = number(at)?;
        let position = Position { lsn, leaf: take::<32>(at)? };
        let (sequence, oldest, next_id) = (number(at)?, number(at)?, number(at)?);
        let table_count = u32::from_le_bytes(take(at)?) as usize;
        let notes_len = u32::from_le_bytes(take(at)?) as usize;
        // A table takes at least 53 bytes: nothing is reserved for a count that cannot be.
        if table_count > at.len() / 53 {
            return None;
        }
        let mut tables = Vec::with_capacity(table_count);
        for _ in 0..table_count {
            let [level] = take::<1>(at)?;
            if level > LEVEL_MAX {
                return None;
            }
            let table = Built {
                id: number(at)?,
                len: number(at)?,
                versions: number(at)?,
                weight: number(at)?.cast_signed(),
                sequence_max: number(at)?,
                reference_min: number(at)?,
                first_key: key(at)?,
                last_key: key(at)?,
            };
            if table.id >= next_id || table.first_key > table.last_key {
                return None;
            }
            tables.push((level, table));
        }
        if at.len() != notes_len {
            return None;
        }
        let notes = Bytes::copy_from_slice(at);
        Some(Self { store, position, sequence, oldest, next_id, tables, notes })
    }

    /// Reads the manifest of a directory; `None` when there is none.
    pub(crate) fn read(vfs: &dyn Vfs, dir: &str) -> Result<Option<Self>> {
        let file = match vfs.open(&format!("{dir}/{FILE}"), OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let len = file.len()?;
        if len > LEN_MAX {
            return Err(Error::TooLarge { what: "the manifest", found: len, limit: LEN_MAX });
        }
        let mut bytes = vec![0; usize::try_from(len).expect("limited above")];
        file.read_exact_at(0, &mut bytes)?;
        Self::decode(&bytes).map(Some)
    }

    /// Replaces the manifest of a directory. The files of its tables must be synced; their names
    /// become durable here. Where that fails, `undo` is called if the old manifest is surely still
    /// the one on the disk.
    pub(crate) fn write(&self, vfs: &dyn Vfs, dir: &str, undo: impl FnOnce()) -> Result<()> {
        let (new, old) = (format!("{dir}/{TEMPORARY}"), format!("{dir}/{FILE}"));
        self.prepare(vfs, dir, &new).inspect_err(|_| undo())?;
        vfs.rename(&new, &old)?;
        vfs.sync_dir(dir)?;
        Ok(())
    }

    fn prepare(&self, vfs: &dyn Vfs, dir: &str, new: &str) -> Result<()> {
        if vfs.exists(new)? {
            vfs.remove(new)?;
        }
        let file = vfs.open(new, OpenMode::Create)?;
        file.write_all_at(0, &self.encode())?;
        file.sync_all()?;
        drop(file);
        // The tables' names go to the disk before anything refers to them.
        vfs.sync_dir(dir)?;
        Ok(())
    }
}

fn take<const N: usize>(at: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = at.split_first_chunk::<N>()?;
    *at = rest;
    Some(*first)
}

fn number(at: &mut &[u8]) -> Option<u64> {
    take(at).map(u64::from_le_bytes)
}

fn key(at: &mut &[u8]) -> Option<Bytes> {
    let len = usize::from(u16::from_le_bytes(take(at)?));
    if len > MAX_INDEX_KEY_LEN {
        return None;
    }
    let (key, rest) = at.split_at_checked(len)?;
    *at = rest;
    Some(Bytes::copy_from_slice(key))
}
