//! The end of a table. Derived. The byte table is in [`super`].

use cairn_codec::SaltedCrc;

use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"CAIRNTBL";
const VERSION: u16 = 1;
const AT_CRC: usize = 92;
pub(super) const FOOTER_LEN: usize = 96;
const _: () = assert!(AT_CRC + 4 == FOOTER_LEN);

/// What the end of a table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Footer {
    pub(super) frames_len: u64,
    pub(super) filter_len: u64,
    pub(super) sparse_len: u64,
    pub(super) groups: u64,
    pub(super) versions: u64,
    pub(super) weight: i64,
    pub(super) sequence_max: u64,
    pub(super) reference_min: u64,
    pub(super) sums_crc: u32,
}

impl Footer {
    pub(super) fn encode(&self, crc: &SaltedCrc) -> [u8; FOOTER_LEN] {
        let mut out = [0; FOOTER_LEN];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(16, &self.frames_len.to_le_bytes());
        put(24, &self.filter_len.to_le_bytes());
        put(32, &self.sparse_len.to_le_bytes());
        put(40, &self.groups.to_le_bytes());
        put(48, &self.versions.to_le_bytes());
        put(56, &self.weight.to_le_bytes());
        put(64, &self.sequence_max.to_le_bytes());
        put(72, &self.reference_min.to_le_bytes());
        put(80, &self.sums_crc.to_le_bytes());
        let check = crc.checksum(&out[..AT_CRC]);
        out[AT_CRC..].copy_from_slice(&check.to_le_bytes());
        out
    }

    /// Checks a footer against the file it is the end of.
    pub(super) fn decode(
        bytes: &[u8; FOOTER_LEN],
        crc: &SaltedCrc,
        file: &str,
        file_len: u64,
    ) -> Result<Self> {
        let position = file_len.saturating_sub(FOOTER_LEN as u64);
        let corrupt = |cause| Error::corrupt(file, position, cause);
        if &bytes[..8] != MAGIC {
            return Err(corrupt("the footer's magic is wrong"));
        }
        let number = |at: usize| {
            let field: [u8; 8] = *bytes.get(at..)?.first_chunk()?;
            Some(u64::from_le_bytes(field))
        };
        let short = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let outside = || corrupt("the footer is cut short");
        if short(AT_CRC).ok_or_else(outside)? != crc.checksum(&bytes[..AT_CRC]) {
            return Err(corrupt("the footer's CRC is wrong"));
        }
        let found = u16::from_le_bytes([bytes[8], bytes[9]]);
        if found != VERSION {
            return Err(Error::UnsupportedVersion { file: file.to_owned(), found });
        }
        if bytes[10..16].iter().chain(&bytes[84..AT_CRC]).any(|byte| *byte != 0) {
            return Err(corrupt("a reserved byte is not zero"));
        }
        let field = |at: usize| number(at).ok_or_else(outside);
        let footer = Self {
            frames_len: field(16)?,
            filter_len: field(24)?,
            sparse_len: field(32)?,
            groups: field(40)?,
            versions: field(48)?,
            weight: field(56)?.cast_signed(),
            sequence_max: field(64)?,
            reference_min: field(72)?,
            sums_crc: short(80).ok_or_else(outside)?,
        };
        if footer.whole_len() != Some(file_len) {
            return Err(corrupt("the lengths of the parts are not that of the file"));
        }
        Ok(footer)
    }

    fn whole_len(&self) -> Option<u64> {
        self.frames_len
            .checked_add(self.filter_len)?
            .checked_add(self.sparse_len)?
            .checked_add(self.groups.checked_mul(8)?)?
            .checked_add(FOOTER_LEN as u64)
    }
}
