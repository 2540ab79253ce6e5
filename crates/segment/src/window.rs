//! Sequential reading of a file through one growing window: few system calls on a real disk,
//! no mapping, and no more memory than the largest frame.

use std::sync::Arc;

use cairn_vfs::VfsFile;

use crate::Result;

const WINDOW_LEN: usize = 1 << 20;

/// A window over a file that moves forward.
#[derive(Debug)]
pub(crate) struct Window {
    file: Arc<dyn VfsFile>,
    file_len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(crate) fn new(file: Arc<dyn VfsFile>) -> Result<Self> {
        let file_len = file.len()?;
        Ok(Self { file, file_len, start: 0, bytes: Vec::new() })
    }

    pub(crate) fn file_len(&self) -> u64 {
        self.file_len
    }

    /// The `len` bytes at `position`, or fewer at the end of the file. The caller bounds `len`
    /// by a limit; the file's length bounds it here.
    pub(crate) fn get(&mut self, position: u64, len: usize) -> Result<&[u8]> {
        let left = self.file_len.saturating_sub(position);
        let len = len.min(usize::try_from(left).unwrap_or(usize::MAX));
        let inside =
            position >= self.start && position + len as u64 <= self.start + self.bytes.len() as u64;
        if !inside {
            self.fill(position, len, left)?;
        }
        let from = usize::try_from(position - self.start).expect("inside the window");
        let to = (from + len).min(self.bytes.len());
        Ok(&self.bytes[from.min(to)..to])
    }

    fn fill(&mut self, position: u64, len: usize, left: u64) -> Result<()> {
        let want = len.max(WINDOW_LEN).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.bytes.resize(want, 0);
        let mut got = 0;
        while got < want {
            let count = self.file.read_at(position + got as u64, &mut self.bytes[got..])?;
            if count == 0 {
                break;
            }
            got += count;
        }
        self.bytes.truncate(got);
        self.start = position;
        Ok(())
    }
}
