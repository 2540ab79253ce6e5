//! A cursor over a fixed-size structure: writes and reads fields in order and closes with a CRC.
//!
//! Both sides share the order of calls, which keeps writer and reader twins in step.

/// Writes fields in order into a structure of `N` bytes.
#[derive(Debug)]
pub(crate) struct FrameWriter<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> FrameWriter<N> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    pub(crate) fn put(mut self, field: &[u8]) -> Self {
        let end = self.at + field.len();
        self.bytes[self.at..end].copy_from_slice(field);
        self.at = end;
        self
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.put(&value.to_le_bytes())
    }

    pub(crate) fn zeros(mut self, count: usize) -> Self {
        self.at += count;
        self
    }

    /// Puts the CRC of everything before into the last four bytes.
    pub(crate) fn close(mut self, mut crc: crc32fast::Hasher) -> [u8; N] {
        assert_eq!(self.at, N - 4, "a frame is filled exactly up to its checksum");
        crc.update(&self.bytes[..N - 4]);
        self.bytes[N - 4..].copy_from_slice(&crc.finalize().to_le_bytes());
        self.bytes
    }
}

/// Reads fields in order from a structure whose CRC was checked first.
#[derive(Debug)]
pub(crate) struct FrameReader<'a, const N: usize> {
    bytes: &'a [u8; N],
    at: usize,
}

impl<'a, const N: usize> FrameReader<'a, N> {
    /// Checks magic, then CRC, then version, and skips the magic and version bytes.
    pub(crate) fn open(
        bytes: &'a [u8; N],
        magic: [u8; 4],
        mut crc: crc32fast::Hasher,
    ) -> Result<Self, FrameFault> {
        if bytes[..4] != magic {
            return Err(FrameFault::Magic);
        }
        crc.update(&bytes[..N - 4]);
        let expected = crc.finalize();
        let mut tail = [0; 4];
        tail.copy_from_slice(&bytes[N - 4..]);
        let found = u32::from_le_bytes(tail);
        if expected != found {
            return Err(FrameFault::Crc { expected, found });
        }
        if bytes[4] != super::VERSION {
            return Err(FrameFault::Version(bytes[4]));
        }
        Ok(Self { bytes, at: 5 })
    }

    pub(crate) fn take<const M: usize>(&mut self) -> [u8; M] {
        let mut out = [0; M];
        out.copy_from_slice(&self.bytes[self.at..self.at + M]);
        self.at += M;
        out
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    pub(crate) fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.take())
    }

    /// Checks that `count` reserved bytes are zero.
    pub(crate) fn zeros(&mut self, count: usize) -> Result<(), FrameFault> {
        let reserved = &self.bytes[self.at..self.at + count];
        if let Some(index) = reserved.iter().position(|byte| *byte != 0) {
            return Err(FrameFault::Reserved { offset: self.at + index });
        }
        self.at += count;
        Ok(())
    }

    pub(crate) fn finish(self) {
        assert_eq!(self.at, N - 4, "a frame is read exactly up to its checksum");
    }
}

/// Why a structure was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// Other magic bytes.
    #[error("magic bytes are wrong")]
    Magic,
    /// The checksum does not match.
    #[error("CRC32 is {found:08x}, computed {expected:08x}")]
    Crc {
        /// Computed over the bytes.
        expected: u32,
        /// Stored.
        found: u32,
    },
    /// Another format version with a valid checksum.
    #[error("format version {0} is not supported")]
    Version(u8),
    /// A reserved byte is not zero.
    #[error("reserved byte at offset {offset} is not zero")]
    Reserved {
        /// Offset in the structure.
        offset: usize,
    },
    /// A field holds a value that cannot be.
    #[error("field {0} holds an impossible value")]
    Field(&'static str),
}
