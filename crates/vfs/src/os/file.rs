//! Files of the real file system, and the one place where memory is mapped.

use std::fs::File;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use crate::{Error, FaultKind, Mapping, Op, Result, VfsFile};

#[derive(Debug)]
pub(super) struct StdFile {
    file: File,
    path: String,
}

impl StdFile {
    pub(super) fn new(file: File, path: &str) -> Self {
        Self { file, path: path.to_owned() }
    }

    fn failed(&self, op: Op) -> impl Fn(std::io::Error) -> Error + '_ {
        move |error| Error::from_io(op, &self.path, error)
    }
}

impl VfsFile for StdFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut got = 0;
        while got < buffer.len() {
            match self.file.read_at(&mut buffer[got..], position + got as u64) {
                Ok(0) => break,
                Ok(count) => got += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(Op::Read)(error)),
            }
        }
        Ok(got)
    }

    fn write_all_at(&self, position: u64, bytes: &[u8]) -> Result<()> {
        // Straight to the system call: the C library's wrapper is a cancellation point, which
        // costs a small append about 70 ns.
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match rustix::io::pwrite(&self.file, rest, position + done as u64) {
                Ok(0) => return Err(self.failed(Op::Write)(std::io::ErrorKind::WriteZero.into())),
                Ok(count) => done += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(self.failed(Op::Write)(error.into())),
            }
        }
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(self.failed(Op::Inspect))?.len())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(self.failed(Op::SetLen))
    }

    fn allocate(&self, position: u64, len: u64) -> Result<()> {
        let flags = rustix::fs::FallocateFlags::empty();
        match rustix::fs::fallocate(&self.file, flags, position, len) {
            Ok(()) => Ok(()),
            // Such a file system reserves nothing: the length at least can be set, and a full
            // disk shows when the bytes are written.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                let end = position.saturating_add(len);
                if self.len()? < end { self.set_len(end) } else { Ok(()) }
            }
            Err(error) => Err(self.failed(Op::Allocate)(error.into())),
        }
    }

    fn sync_data(&self) -> Result<()> {
        self.file.sync_data().map_err(self.failed(Op::Sync))
    }

    fn sync_all(&self) -> Result<()> {
        self.file.sync_all().map_err(self.failed(Op::Sync))
    }

    fn map(&self, len: u64) -> Result<Mapping> {
        let len = usize::try_from(len)
            .map_err(|_| Error::new(Op::Map, &self.path, FaultKind::Unsupported))?;
        if len == 0 {
            return Ok(Mapping::new(Bytes::new()));
        }
        map_shared(&self.file, len).map(Mapping::new).map_err(self.failed(Op::Map))
    }
}

/// Maps the file read-only and shared with its writers.
#[expect(unsafe_code, reason = "mapping a file cannot be expressed in safe code")]
fn map_shared(file: &File, len: usize) -> std::io::Result<Bytes> {
    // SAFETY: the mapping is sound only while no mapped byte that is looked at changes or
    // vanishes. `Mapping` hands out bytes below the published limit alone; the owner publishes
    // bytes after they were written and never writes below the limit again or cuts the file
    // below it (segments are append-only; a cleaned segment is a new file under the same
    // name). Another process that changes the files of a locked store breaks this premise, as
    // it does for every mapped database; `IoMode::Pread` is there for such surroundings.
    let mapping = unsafe { memmap2::MmapOptions::new().len(len).map(file)? };
    Ok(Bytes::from_owner(mapping))
}
