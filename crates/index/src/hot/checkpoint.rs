//! A hot index as bytes, so that a reopen does not rebuild it. **Derived**: tied to a position
//! of the log; what the log holds from there on is applied again after a restore.
//!
//! Restoring checks header, trailer and directory (24 B a shard) and keeps the bytes; a shard is
//! checked and read when it is first touched. So opening costs the same for any number of keys.
//!
//! Layout, version 1, little-endian, with `S = 2^shard bits`:
//!
//! | part | offset | width | field |
//! |---|---|---|---|
//! | header, 64 B | 0 | 4 | magic `CHOT` |
//! | | 4 | 2 | version, 1 |
//! | | 6 | 1 | shard bits, at most 12 |
//! | | 7 | 1 | zero |
//! | | 8 | 8 | position |
//! | | 16 | 8 | seed of the hash |
//! | | 24 | 36 | zero |
//! | | 60 | 4 | CRC-32 of bytes 0 to 59 |
//! | S sections | 0 | 4 n | fingerprints |
//! | | 4 n | 6 n | places, 48 bits each |
//! | | 10 n | (b + 7) / 8 | bit set: the bucket has lost a key |
//! | directory, 24 S B | 0 | 8 | offset of the section |
//! | | 8 | 4 | n, count of keys |
//! | | 12 | 4 | b, count of buckets |
//! | | 16 | 4 | 1 when any key may be missing, else 0 |
//! | | 20 | 4 | CRC-32 of the section |
//! | trailer, 32 B | 0 | 8 | offset of the directory |
//! | | 8 | 8 | count of keys |
//! | | 16 | 8 | position, as in the header |
//! | | 24 | 4 | CRC-32 of the directory |
//! | | 28 | 4 | CRC-32 of the header and bytes 0 to 27 |
//!
//! Every CRC is salted with `cairn hot index1`. A section with another CRC leaves its shard
//! empty and its misses unknown.

use super::bucket::{Bucket, SLOTS};
use super::table::Table;
use super::{HotConfig, HotIndex, SHARD_BITS_MAX, Shard, State};
use crate::bits::{u16_at, u32_at, u64_at};
use crate::error::{Error, Result};
use bytes::Bytes;
use cairn_codec::SaltedCrc;
use std::sync::{Arc, RwLock};

const WHAT: &str = "hot index checkpoint";
const SALT: &[u8; 16] = b"cairn hot index1";
const MAGIC: u32 = u32::from_le_bytes(*b"CHOT");
const VERSION: u16 = 1;
const HEADER_LEN: usize = 64;
const HEADER_CRC: usize = 60;
const ENTRY_LEN: usize = 24;
const TRAILER_LEN: usize = 32;
const TRAILER_CRC: usize = 28;
const KEY_LEN: usize = 10;
const PLACE_LEN: usize = 6;

/// One shard in a checkpoint, not read yet.
#[derive(Debug)]
pub(super) struct Stored {
    /// The whole checkpoint, shared.
    file: Arc<Bytes>,
    entry: Entry,
    /// Places from here on were lost with the tail of the log.
    log_end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    offset: usize,
    keys: usize,
    buckets: usize,
    incomplete: bool,
    crc: u32,
}

impl HotIndex {
    /// Writes the index piece by piece, one shard at a time: other shards can be read and
    /// written meanwhile. `position` says up to where the log had been applied **before** the
    /// call. Gives the length in bytes.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn checkpoint<E>(
        &self,
        position: u64,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let crc = SaltedCrc::new(SALT);
        let header = header(self, position, &crc);
        sink(&header)?;
        let mut offset = HEADER_LEN as u64;
        let mut keys = 0_u64;
        let mut directory = Vec::with_capacity(self.shards.len() * ENTRY_LEN);
        let mut section = Vec::new();
        for shard in &self.shards {
            section.clear();
            let state = self.loaded(shard);
            let table = &state.table;
            write_section(table, &mut section);
            directory.extend_from_slice(&offset.to_le_bytes());
            for number in [table.len(), table.buckets().len(), usize::from(table.incomplete)] {
                let number = u32::try_from(number).expect("a shard's share of 48 bits of memory");
                directory.extend_from_slice(&number.to_le_bytes());
            }
            keys += table.len() as u64;
            drop(state);
            directory.extend_from_slice(&crc.checksum(&section).to_le_bytes());
            sink(&section)?;
            offset += section.len() as u64;
        }
        sink(&directory)?;
        let mut trailer = Vec::with_capacity(TRAILER_LEN);
        for number in [offset, keys, position] {
            trailer.extend_from_slice(&number.to_le_bytes());
        }
        trailer.extend_from_slice(&crc.checksum(&directory).to_le_bytes());
        let check = crc.checksum(&[&header[..], &trailer[..]].concat());
        trailer.extend_from_slice(&check.to_le_bytes());
        sink(&trailer)?;
        Ok(offset + (directory.len() + TRAILER_LEN) as u64)
    }

    /// Opens a checkpoint; gives the index and the position from which on the log must be
    /// applied again (upsert and remove). O(1) in the number of keys; `bytes` may be a mapping
    /// and stays in use until every shard was touched.
    ///
    /// `log_end` is the end of the log after its recovery: keys at or past it were written to a
    /// tail that is lost, so they are dropped and their misses are unknown. The seed is the
    /// checkpoint's; that of `config` is not looked at.
    ///
    /// # Errors
    /// `Corrupt` when header, trailer or directory are not what was written,
    /// `UnsupportedVersion`, `Mismatch` when the position lies past `log_end`.
    pub fn restore(bytes: Bytes, config: HotConfig, log_end: u64) -> Result<(Self, u64)> {
        let crc = SaltedCrc::new(SALT);
        let (shard_bits, position, seed) = read_header(&bytes, &crc)?;
        let entries = read_directory(&bytes, 1 << shard_bits, position, &crc)?;
        if position > log_end {
            let what = "end of the log below the checkpoint's position";
            return Err(Error::Mismatch { what, found: log_end, expected: position });
        }
        let mut index = Self::with_shards(HotConfig { seed, ..config }, shard_bits);
        let file = Arc::new(bytes);
        let shard = |entry: Entry| {
            let stored = Stored { file: Arc::clone(&file), entry, log_end };
            Shard(RwLock::new(State { table: Table::default(), stored: Some(Box::new(stored)) }))
        };
        index.shards = entries.into_iter().map(shard).collect();
        Ok((index, position))
    }
}

impl Stored {
    pub(super) fn len(&self) -> usize {
        self.entry.keys
    }

    /// Reads the shard; `None` when it is damaged. A shard beyond the budget comes back empty
    /// and incomplete.
    pub(super) fn load(&self, reserve: impl FnOnce(usize) -> bool) -> Option<Table> {
        let Entry { offset, keys, buckets, incomplete, crc } = self.entry;
        let section = self.file.get(offset..)?.get(..self.entry.section_len()?)?;
        if SaltedCrc::new(SALT).checksum(section) != crc {
            return None;
        }
        let (fingerprints, rest) = section.split_at_checked(keys * 4)?;
        let (places, lossy) = rest.split_at_checked(keys * PLACE_LEN)?;
        if !reserve(buckets * size_of::<Bucket>()) {
            return Some(Table::unknown());
        }
        let mut table = Table::with_buckets(buckets);
        table.incomplete = incomplete;
        let places = places.as_chunks::<PLACE_LEN>().0;
        for (fingerprint, place) in fingerprints.as_chunks::<4>().0.iter().zip(places) {
            let fingerprint = u32::from_le_bytes(*fingerprint);
            let mut wide = [0; 8];
            wide[..PLACE_LEN].copy_from_slice(place);
            let place = u64::from_le_bytes(wide);
            if place >= self.log_end || !table.insert(fingerprint, place) {
                table.lose(fingerprint);
            }
        }
        for bucket in 0..buckets {
            if lossy.get(bucket / 8).is_some_and(|byte| byte >> (bucket % 8) & 1 == 1) {
                table.set_lossy(bucket);
            }
        }
        Some(table)
    }
}

impl Entry {
    /// `None` for numbers that cannot be.
    fn section_len(&self) -> Option<usize> {
        self.keys.checked_mul(KEY_LEN)?.checked_add(self.buckets.div_ceil(8))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let number = |at| Some(u32_at(bytes, at)? as usize);
        let flags = u32_at(bytes, 16)?;
        let entry = Self {
            offset: usize::try_from(u64_at(bytes, 0)?).ok()?,
            keys: number(8)?,
            buckets: number(12)?,
            incomplete: flags == 1,
            crc: u32_at(bytes, 20)?,
        };
        (flags <= 1 && entry.keys.div_ceil(SLOTS) <= entry.buckets).then_some(entry)
    }
}

fn header(index: &HotIndex, position: u64, crc: &SaltedCrc) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&MAGIC.to_le_bytes());
    header[4..6].copy_from_slice(&VERSION.to_le_bytes());
    header[6] = u8::try_from(index.shard_bits).expect("at most 12");
    header[8..16].copy_from_slice(&position.to_le_bytes());
    header[16..24].copy_from_slice(&index.config.seed.to_le_bytes());
    let check = crc.checksum(&header[..HEADER_CRC]);
    header[HEADER_CRC..].copy_from_slice(&check.to_le_bytes());
    header
}

fn write_section(table: &Table, out: &mut Vec<u8>) {
    let slots = || {
        let buckets = table.buckets().iter();
        buckets.flat_map(|bucket| (0..bucket.len()).map(move |slot| (bucket, slot)))
    };
    for (bucket, slot) in slots() {
        out.extend_from_slice(&bucket.fingerprint(slot).to_le_bytes());
    }
    for (bucket, slot) in slots() {
        out.extend_from_slice(&bucket.place(slot).to_le_bytes()[..PLACE_LEN]);
    }
    for eight in table.buckets().chunks(8) {
        let bits = eight.iter().rev().fold(0, |bits, b| bits << 1 | u8::from(b.is_lossy()));
        out.push(bits);
    }
}

fn read_header(bytes: &[u8], crc: &SaltedCrc) -> Result<(u32, u64, u64)> {
    let short = || corrupt("length", bytes.len() as u64, HEADER_LEN as u64);
    let header = bytes.first_chunk::<HEADER_LEN>().ok_or_else(short)?;
    let magic = u32_at(header, 0).ok_or_else(short)?;
    if magic != MAGIC {
        return Err(corrupt("magic", magic, MAGIC));
    }
    let found = u32_at(header, HEADER_CRC).ok_or_else(short)?;
    let expected = crc.checksum(&header[..HEADER_CRC]);
    if found != expected {
        return Err(corrupt("header's CRC", found, expected));
    }
    let version = u16_at(header, 4).ok_or_else(short)?;
    if version != VERSION {
        return Err(Error::UnsupportedVersion { what: WHAT, found: version });
    }
    let shard_bits = u32::from(header[6]);
    if shard_bits > SHARD_BITS_MAX {
        return Err(corrupt("shard bits", shard_bits, SHARD_BITS_MAX));
    }
    if header[7] != 0 || header[24..HEADER_CRC].iter().any(|byte| *byte != 0) {
        return Err(corrupt("reserved byte", 1_u8, 0_u8));
    }
    let position = u64_at(header, 8).ok_or_else(short)?;
    let seed = u64_at(header, 16).ok_or_else(short)?;
    Ok((shard_bits, position, seed))
}

fn read_directory(
    bytes: &[u8],
    shards: usize,
    position: u64,
    crc: &SaltedCrc,
) -> Result<Vec<Entry>> {
    let least = HEADER_LEN + shards * ENTRY_LEN + TRAILER_LEN;
    let short = || corrupt("length", bytes.len() as u64, least as u64);
    let directory_at = bytes.len().checked_sub(shards * ENTRY_LEN + TRAILER_LEN);
    let directory_at = directory_at.filter(|at| *at >= HEADER_LEN).ok_or_else(short)?;
    let (directory, trailer) =
        bytes[directory_at..].split_at_checked(shards * ENTRY_LEN).ok_or_else(short)?;
    let found = u32_at(trailer, TRAILER_CRC).ok_or_else(short)?;
    let expected = crc.checksum(&[&bytes[..HEADER_LEN], &trailer[..TRAILER_CRC]].concat());
    if found != expected {
        return Err(corrupt("trailer's CRC", found, expected));
    }
    let number = |at| u64_at(trailer, at).ok_or_else(short);
    let (offset, keys, again) = (number(0)?, number(8)?, number(16)?);
    if offset != directory_at as u64 {
        return Err(corrupt("directory's offset", offset, directory_at as u64));
    }
    if again != position {
        return Err(corrupt("position in the trailer", again, position));
    }
    let found = u32_at(trailer, 24).ok_or_else(short)?;
    let expected = crc.checksum(directory);
    if found != expected {
        return Err(corrupt("directory's CRC", found, expected));
    }
    let mut entries = Vec::with_capacity(shards);
    let (mut at, mut sum) = (HEADER_LEN, 0);
    for raw in directory.chunks_exact(ENTRY_LEN) {
        let entry = Entry::read(raw).filter(|entry| entry.offset == at);
        let entry = entry.ok_or_else(|| corrupt("section", at as u64, directory_at as u64))?;
        let end = entry.section_len().and_then(|len| at.checked_add(len));
        at = end.filter(|end| *end <= directory_at).ok_or_else(short)?;
        sum += entry.keys as u64;
        entries.push(entry);
    }
    if at != directory_at || sum != keys {
        return Err(corrupt("count of keys", sum, keys));
    }
    Ok(entries)
}

fn corrupt(cause: &'static str, found: impl Into<u64>, expected: impl Into<u64>) -> Error {
    Error::Corrupt { what: WHAT, cause, found: found.into(), expected: expected.into() }
}
