//! A map as bytes, so that a reopen need not read every version. **Derived**: tied to the head
//! it states; what the log holds from `lsn_end` on is taken in after a restore.
//!
//! Layout, version 1, little-endian:
//!
//! | part | offset | size | field |
//! |---|---|---|---|
//! | header, 80 B | 0 | 4 | magic `CKMP` |
//! | | 4 | 2 | version, 1 |
//! | | 6 | 6 | zero |
//! | | 12 | 64 | the head ([`MapHead`]) |
//! | | 76 | 4 | CRC-32 of bytes 0 to 75 |
//! | blocks | 0 | 4 | n, entries, at most 1,024; 0 in the last block |
//! | | 4 | 4 | length of the body |
//! | | 8 | 4 | CRC-32 of bytes 0 to 7 and the body |
//! | | 12 | | body: n entries in order of their paths |
//! | entry | 0 | 32 | path |
//! | | 32 | 8 | count of versions |
//! | | 40 | 32 each | peaks of the tree over them, a peak for each bit of the count |
//!
//! Every CRC is salted with `cairn key map 01`. Restoring computes every node again and compares
//! the root, so a checkpoint that restores is the map that its head names.

use super::arena::Arena;
use super::cursor::Cursor;
use super::entry::Entry;
use super::error::{Error, Result};
use super::head::{MAP_HEAD_LEN, MapHead};
use super::path::PathHash;
use super::trie::KeyMap;
use cairn_codec::SaltedCrc;

const WHAT: &str = "key map checkpoint";
const SALT: &[u8; 16] = b"cairn key map 01";
const MAGIC: [u8; 4] = *b"CKMP";
const VERSION: u16 = 1;
const HEAD_AT: usize = 12;
const HEADER_CRC: usize = HEAD_AT + MAP_HEAD_LEN;
const HEADER_LEN: usize = HEADER_CRC + 4;
const BLOCK_ENTRIES_MAX: usize = 1024;
/// Path, count, and a peak for each bit of it.
const ENTRY_LEN_MAX: usize = 40 + 64 * 32;

const _: () = assert!(HEADER_LEN == 80);

impl KeyMap {
    /// Writes the map piece by piece. Gives the length.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn checkpoint<E>(&self, mut sink: impl FnMut(&[u8]) -> Result<(), E>) -> Result<u64, E> {
        let crc = SaltedCrc::new(SALT);
        let mut header = [0; HEADER_LEN];
        header[..4].copy_from_slice(&MAGIC);
        header[4..6].copy_from_slice(&VERSION.to_le_bytes());
        header[HEAD_AT..HEADER_CRC].copy_from_slice(&self.head().encode());
        let check = crc.checksum(&header[..HEADER_CRC]);
        header[HEADER_CRC..].copy_from_slice(&check.to_le_bytes());
        sink(&header)?;
        let mut len = HEADER_LEN as u64;
        let mut entries = self.in_order();
        loop {
            let mut body = Vec::new();
            let mut count = 0_u32;
            for entry in entries.by_ref().take(BLOCK_ENTRIES_MAX) {
                body.extend_from_slice(entry.path.as_bytes());
                body.extend_from_slice(&entry.count.to_le_bytes());
                entry.peaks().iter().for_each(|peak| body.extend_from_slice(peak));
                count += 1;
            }
            let body_len = u32::try_from(body.len()).expect("1,024 entries of at most 2,088 B");
            let start = [count.to_le_bytes(), body_len.to_le_bytes()].concat();
            let check = block_crc(&crc, &start, &body);
            sink(&[&start[..], &check.to_le_bytes()].concat())?;
            sink(&body)?;
            len += 12 + u64::from(body_len);
            if count == 0 {
                return Ok(len);
            }
        }
    }

    /// Reads a whole checkpoint. About half a microsecond a key.
    ///
    /// # Errors
    /// `UnsupportedVersion`; `Corrupt` for bytes that are not a checkpoint as it was written:
    /// rebuild the map from the log.
    pub fn restore(bytes: &[u8]) -> Result<Self> {
        let crc = SaltedCrc::new(SALT);
        let mut cursor = Cursor::new(WHAT, bytes);
        let head = read_header(&mut cursor, &crc)?;
        let mut entries = Arena::new();
        while read_block(&mut cursor, &crc, &mut entries)? {}
        if entries.len() as u64 != head.key_count {
            return Err(cursor.error("another number of keys than its head says"));
        }
        cursor.finish()?;
        let mut map = Self::from_entries(entries);
        (map.revision, map.lsn_end) = (head.revision, head.lsn_end);
        if map.head() != head {
            return Err(Error::Corrupt { what: WHAT, cause: "another root than its head says" });
        }
        Ok(map)
    }
}

fn block_crc(crc: &SaltedCrc, start: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc.hasher();
    hasher.update(start);
    hasher.update(body);
    hasher.finalize()
}

fn read_header(cursor: &mut Cursor<'_>, crc: &SaltedCrc) -> Result<MapHead> {
    let header = cursor.array::<HEADER_LEN>()?;
    let mut fields = Cursor::new(WHAT, header);
    if *fields.array()? != MAGIC {
        return Err(fields.error("magic"));
    }
    let found = fields.u16()?;
    if found != VERSION {
        return Err(Error::UnsupportedVersion { what: WHAT, found });
    }
    if *fields.array::<6>()? != [0; 6] {
        return Err(fields.error("reserved bytes"));
    }
    let head = fields.array::<MAP_HEAD_LEN>()?;
    if fields.u32()? != crc.checksum(&header[..HEADER_CRC]) {
        return Err(fields.error("CRC of the header"));
    }
    MapHead::decode(head)
}

/// Reads a block; `false` after the last.
fn read_block(cursor: &mut Cursor<'_>, crc: &SaltedCrc, out: &mut Arena<Entry>) -> Result<bool> {
    let start = cursor.array::<8>()?;
    let check = cursor.u32()?;
    let mut fields = Cursor::new(WHAT, start);
    let (count, len) = (fields.u32()? as usize, fields.u32()? as usize);
    if count > BLOCK_ENTRIES_MAX || len > count * ENTRY_LEN_MAX {
        return Err(cursor.error("length of a block"));
    }
    let body = cursor.bytes(len)?;
    if check != block_crc(crc, start, body) {
        return Err(cursor.error("CRC of a block"));
    }
    let mut body = Cursor::new(WHAT, body);
    let mut last = out.len().checked_sub(1).map(|last| out[last].path);
    for _ in 0..count {
        let path = PathHash::new(*body.array()?);
        let versions = body.u64()?;
        let peaks = body.hashes(versions.count_ones() as usize)?;
        if last.replace(path).is_some_and(|last| last >= path) {
            return Err(body.error("entries out of order"));
        }
        let entry = Entry::from_peaks(path, versions, peaks);
        out.push(entry.ok_or_else(|| body.error("an entry without versions"))?);
    }
    body.finish()?;
    Ok(count > 0)
}
