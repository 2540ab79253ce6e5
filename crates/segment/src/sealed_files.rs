//! Files that views keep beside the log, encrypted when the log is. Derived, like their content:
//! a view whose file does not open is built again.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `CRNF` |
//! | 4 | 1 | version, 1 |
//! | 5 | 3 | zero |
//! | 8 | 4 | number of the data key |
//! | 12 | 4 | zero |
//! | 16 | 16 | salt of the file's key |
//! | 32 | n x (4,096 + 24) | sealed blocks of 4,096 bytes of content each, the last one shorter |
//!
//! Files are written from front to back and read anywhere. The end is sealed at every sync; an
//! end that is sealed again gets another counter. A file without the magic was written before
//! the log had a key, and is read as it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cairn_codec::CodecRegistry;
use cairn_codec::seal::{
    BlockCipher, BlockIdentity, FILE_SALT_LEN, FileCipher, FileKind, KeyNumber, OVERHEAD,
};
use cairn_vfs::{
    DirEntry, DirWatcher, Error, FaultKind, Mapping, Op, OpenMode, Result, Rng, Vfs, VfsFile,
    VfsLock,
};

use crate::keyring::read_ring;

const MAGIC: [u8; 4] = *b"CRNF";
const VERSION: u8 = 1;
const HEADER_LEN: usize = 16 + FILE_SALT_LEN;
const BLOCK_LEN: usize = 4096;
/// Bytes copied at a time.
const COPY_LEN: usize = 1 << 16;
const SEALED_LEN: u64 = (BLOCK_LEN + OVERHEAD) as u64;

/// Another [`Vfs`] whose files are encrypted.
#[derive(Debug)]
pub(crate) struct SealedVfs {
    pub(crate) inner: Arc<dyn Vfs>,
    pub(crate) registry: CodecRegistry,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) store_id: [u8; 16],
}

impl SealedVfs {
    fn create(&self, file: Arc<dyn VfsFile>) -> Result<Arc<dyn VfsFile>> {
        let mut salt = [0; FILE_SALT_LEN];
        self.rng.fill(&mut salt);
        let cipher = self.registry.new_file_cipher(FileKind::Table, self.store_id, &salt);
        let (key, cipher) = cipher.expect("made only when there is a key");
        let mut header = [0; HEADER_LEN];
        header[..4].copy_from_slice(&MAGIC);
        header[4] = VERSION;
        header[8..12].copy_from_slice(&key.get().to_le_bytes());
        header[16..].copy_from_slice(&salt);
        file.write_all_at(0, &header)?;
        Ok(SealedFile::with(file, cipher, self.store_id, 0))
    }

    /// The cipher of a file that is there. On a log opened for reading only, another process may
    /// have added the data key since: the ring is then read again.
    fn old_cipher(&self, salt: &[u8; FILE_SALT_LEN], key: KeyNumber) -> Option<FileCipher> {
        let cipher = || self.registry.old_file_cipher(FileKind::Table, self.store_id, salt, key);
        cipher().or_else(|| {
            let ring = read_ring(&*self.inner).ok()?.ring?;
            self.registry.change_ring(&ring, None).ok()?;
            cipher()
        })
    }

    fn existing(&self, file: Arc<dyn VfsFile>) -> Result<Arc<dyn VfsFile>> {
        let len = file.len()?;
        let mut header = [0; HEADER_LEN];
        let got = file.read_at(0, &mut header)?;
        let key = key_in(header.get(..got).unwrap_or_default());
        if key == KeyNumber::NONE {
            return Ok(file);
        }
        let mut salt = [0; FILE_SALT_LEN];
        salt.copy_from_slice(&header[16..]);
        let cipher = self.old_cipher(&salt, key).ok_or_else(|| {
            let cause = format!("data key {} is not in the key ring", key.get());
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, cause);
            Error::from_io(Op::Open, file.path(), source)
        })?;
        let sealed = len.saturating_sub(HEADER_LEN as u64);
        let (whole, rest) = (sealed / SEALED_LEN, sealed % SEALED_LEN);
        let content = whole * BLOCK_LEN as u64 + rest.saturating_sub(OVERHEAD as u64);
        Ok(SealedFile::with(file, cipher, self.store_id, content))
    }
}

/// The data key that the header of a file names; none when it is no sealed file.
fn key_in(header: &[u8]) -> KeyNumber {
    match header.first_chunk::<HEADER_LEN>() {
        Some(header)
            if header[..4] == MAGIC
                && header[4..8] == [VERSION, 0, 0, 0]
                && header[12..16] == [0; 4] =>
        {
            let number = header[8..12].try_into().expect("4 bytes");
            KeyNumber::new(u32::from_le_bytes(number))
        }
        _ => KeyNumber::NONE,
    }
}

/// The data key that a file is sealed with.
pub(crate) fn header_of(vfs: &dyn Vfs, path: &str) -> Result<KeyNumber> {
    let file = vfs.open(path, OpenMode::Read)?;
    let mut header = [0; HEADER_LEN];
    let got = file.read_at(0, &mut header)?;
    Ok(key_in(header.get(..got).unwrap_or_default()))
}

/// Seals a file anew, in its place.
pub(crate) fn reseal(vfs: &dyn Vfs, sealed: &dyn Vfs, path: &str) -> Result<()> {
    let temporary = format!("{path}.tmp");
    if vfs.exists(&temporary)? {
        vfs.remove(&temporary)?;
    }
    let (old, new) =
        (sealed.open(path, OpenMode::Read)?, sealed.open(&temporary, OpenMode::Create)?);
    let (len, mut at) = (old.len()?, 0);
    let mut buffer = vec![0; COPY_LEN];
    while at < len {
        let step = usize::try_from(len - at).unwrap_or(COPY_LEN).min(COPY_LEN);
        old.read_exact_at(at, &mut buffer[..step])?;
        new.write_all_at(at, &buffer[..step])?;
        at += step as u64;
    }
    new.sync_all()?;
    drop(new);
    vfs.rename(&temporary, path)?;
    vfs.sync_dir(cairn_vfs::path::split(path).0)
}

impl Vfs for SealedVfs {
    fn open(&self, path: &str, mode: OpenMode) -> Result<Arc<dyn VfsFile>> {
        let fresh = match mode {
            OpenMode::Create => true,
            OpenMode::CreateOrOpen => !self.inner.exists(path)?,
            OpenMode::Read | OpenMode::ReadWrite => false,
        };
        let file = self.inner.open(path, mode)?;
        if fresh { self.create(file) } else { self.existing(file) }
    }

    fn exists(&self, path: &str) -> Result<bool> {
        self.inner.exists(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &str) -> Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.inner.remove(path)
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        self.inner.sync_dir(dir)
    }

    fn hard_link(&self, from: &str, to: &str) -> Result<()> {
        self.inner.hard_link(from, to)
    }

    fn lock(&self, path: &str) -> Result<Box<dyn VfsLock>> {
        self.inner.lock(path)
    }

    fn free_space(&self) -> Result<u64> {
        self.inner.free_space()
    }

    fn supports_map(&self) -> bool {
        // A mapping would show the sealed bytes.
        false
    }

    fn watch(&self, dir: &str) -> Result<Box<dyn DirWatcher>> {
        self.inner.watch(dir)
    }
}

/// A file of sealed blocks.
#[derive(Debug)]
struct SealedFile {
    file: Arc<dyn VfsFile>,
    cipher: FileCipher,
    store_id: [u8; 16],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of content.
    len: u64,
    /// Content of the last block while the file is written.
    tail: Vec<u8>,
    /// The content of the tail is in the file too.
    tail_is_sealed: bool,
    /// The block that was opened last.
    opened: Option<(u64, Vec<u8>)>,
}

impl SealedFile {
    fn with(
        file: Arc<dyn VfsFile>,
        cipher: FileCipher,
        store_id: [u8; 16],
        len: u64,
    ) -> Arc<dyn VfsFile> {
        let state = Mutex::new(State { len, ..State::default() });
        Arc::new(Self { file, cipher, store_id, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a file of sealed blocks cannot do.
    fn cannot(&self, op: Op, cause: &'static str) -> Error {
        let source = std::io::Error::new(std::io::ErrorKind::Unsupported, cause);
        Error::from_io(op, self.file.path(), source)
    }

    fn identity(&self, block: u64) -> BlockIdentity {
        BlockIdentity { store_id: self.store_id, file: 0, place: block }
    }

    fn write_block(&self, block: u64, content: &[u8]) -> Result<()> {
        let mut sealed = Vec::with_capacity(content.len() + OVERHEAD);
        self.cipher
            .seal(&self.identity(block), content, &mut sealed)
            .map_err(|_| self.cannot(Op::Write, "only new files are sealed"))?;
        self.file.write_all_at(HEADER_LEN as u64 + block * SEALED_LEN, &sealed)
    }

    fn open_block(&self, block: u64) -> Result<Vec<u8>> {
        let mut sealed = vec![0; BLOCK_LEN + OVERHEAD];
        let got = self.file.read_at(HEADER_LEN as u64 + block * SEALED_LEN, &mut sealed)?;
        let mut content = Vec::with_capacity(BLOCK_LEN);
        self.cipher.open(&self.identity(block), &sealed[..got], &mut content).map_err(|_| {
            let cause = "a block does not open: changed, moved or cut";
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, cause);
            Error::from_io(Op::Read, self.file.path(), source)
        })?;
        Ok(content)
    }

    /// Reads up to the end of a block.
    fn read_in_block(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut state = self.state();
        if position >= state.len {
            return Ok(0);
        }
        let block = position / BLOCK_LEN as u64;
        let in_tail = !state.tail.is_empty() && block == state.len / BLOCK_LEN as u64;
        if !in_tail && state.opened.as_ref().is_none_or(|(opened, _)| *opened != block) {
            state.opened = Some((block, self.open_block(block)?));
        }
        let content = match &state.opened {
            Some((_, content)) if !in_tail => content,
            _ => &state.tail,
        };
        let from = usize::try_from(position % BLOCK_LEN as u64).expect("below a block");
        let content = content.get(from..).unwrap_or_default();
        let count = content.len().min(buffer.len());
        buffer[..count].copy_from_slice(&content[..count]);
        Ok(count)
    }

    fn seal_tail(&self) -> Result<()> {
        let mut state = self.state();
        if state.tail.is_empty() || state.tail_is_sealed {
            return Ok(());
        }
        self.write_block(state.len / BLOCK_LEN as u64, &state.tail)?;
        state.tail_is_sealed = true;
        Ok(())
    }
}

impl Drop for SealedFile {
    /// Who does not sync still expects what was written to be read later. What fails here was
    /// never promised to be kept: the file is short, and its content is checked by its reader.
    fn drop(&mut self) {
        let _ends_early = self.seal_tail();
    }
}

impl VfsFile for SealedFile {
    fn path(&self) -> &str {
        self.file.path()
    }

    fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut got = 0;
        while got < buffer.len() {
            match self.read_in_block(position + got as u64, &mut buffer[got..])? {
                0 => break,
                count => got += count,
            }
        }
        Ok(got)
    }

    fn write_all_at(&self, position: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.state();
        if position != state.len {
            return Err(self.cannot(Op::Write, "sealed files are written from front to back"));
        }
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let tail_len = state.tail.len();
            let (now, later) = bytes.split_at((BLOCK_LEN - tail_len).min(bytes.len()));
            state.tail.extend_from_slice(now);
            state.tail_is_sealed = false;
            bytes = later;
            if state.tail.len() == BLOCK_LEN {
                if let Err(error) = self.write_block(state.len / BLOCK_LEN as u64, &state.tail) {
                    // As far as the length says: the write may be tried again.
                    state.tail.truncate(tail_len);
                    return Err(error);
                }
                state.tail.clear();
            }
            state.len += now.len() as u64;
        }
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.state().len)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        if len == self.state().len {
            return Ok(());
        }
        Err(self.cannot(Op::SetLen, "sealed files are not cut"))
    }

    fn allocate(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.seal_tail()?;
        self.file.sync_data()
    }

    fn sync_all(&self) -> Result<()> {
        self.seal_tail()?;
        self.file.sync_all()
    }

    fn map(&self, _: u64) -> Result<Mapping> {
        Err(Error::new(Op::Map, self.file.path(), FaultKind::Unsupported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_codec::seal::KeyRing;
    use cairn_types::Timestamp;
    use cairn_vfs::{MemVfs, SeededRng};

    fn vfs(inner: &MemVfs, seed: u64) -> SealedVfs {
        let registry = CodecRegistry::standard().with_sealing_key(&[7; 32]).expect("a key");
        let outer = registry.outer_keys().remove(0);
        let mut random = |bytes: &mut [u8]| bytes.fill(3);
        let ring = KeyRing::create([1; 16], &outer, Timestamp::from_micros(0), &mut random);
        let registry = registry.unlocked(&ring).expect("unlocks");
        let (inner, rng) = (Arc::new(inner.clone()), Arc::new(SeededRng::new(seed)));
        SealedVfs { inner, registry, rng, store_id: [1; 16] }
    }

    #[test]
    fn content_of_any_length_comes_back_and_is_not_in_the_file() {
        for len in [0, 1, 4095, 4096, 4097, 8192, 10_000] {
            let disk = MemVfs::new();
            let content: Vec<u8> = (0..len).map(|n: usize| (n * 7 % 251) as u8).collect();
            let file = vfs(&disk, 1).open("f", OpenMode::Create).expect("creates");
            for (index, piece) in content.chunks(1000).enumerate() {
                file.write_all_at(index as u64 * 1000, piece).expect("writes");
                file.sync_data().expect("syncs");
            }
            file.sync_all().expect("syncs");
            for file in [file, vfs(&disk, 2).open("f", OpenMode::Read).expect("opens")] {
                assert_eq!(file.len().expect("a length"), len as u64);
                let mut read = vec![0; len];
                file.read_exact_at(0, &mut read).expect("reads");
                assert_eq!(read, content);
            }
            let raw = disk.open("f", OpenMode::Read).expect("opens");
            let mut bytes = vec![0; usize::try_from(raw.len().expect("a length")).expect("small")];
            raw.read_exact_at(0, &mut bytes).expect("reads");
            assert!(len < 100 || !bytes.windows(32).any(|window| window == &content[..32]));
        }
    }

    #[test]
    fn a_changed_block_is_an_error_and_a_plain_file_is_read_as_it_is() {
        let disk = MemVfs::new();
        let file = vfs(&disk, 1).open("f", OpenMode::Create).expect("creates");
        file.write_all_at(0, &[9; 5000]).expect("writes");
        assert!(file.write_all_at(0, &[1]).is_err(), "only at the end");
        file.sync_all().expect("syncs");
        let raw = disk.open("f", OpenMode::ReadWrite).expect("opens");
        let mut byte = [0];
        raw.read_exact_at(100, &mut byte).expect("reads");
        raw.write_all_at(100, &[byte[0] ^ 1]).expect("writes");
        let read = vfs(&disk, 2).open("f", OpenMode::Read).expect("opens");
        assert!(read.read_exact_at(0, &mut [0; 10]).is_err());
        read.read_exact_at(4096, &mut [0; 10]).expect("another block");
        let plain = disk.open("p", OpenMode::Create).expect("creates");
        plain.write_all_at(0, b"from before").expect("writes");
        let mut content = [0; 11];
        let read = vfs(&disk, 2).open("p", OpenMode::Read).expect("opens");
        read.read_exact_at(0, &mut content).expect("reads");
        assert_eq!(&content, b"from before");
    }

    #[test]
    fn a_write_that_failed_can_be_tried_again() {
        let disk = MemVfs::new();
        let content: Vec<u8> = (0..9000).map(|n: usize| (n * 7 % 251) as u8).collect();
        let file = vfs(&disk, 1).open("f", OpenMode::Create).expect("creates");
        file.write_all_at(0, &content[..1000]).expect("writes");
        disk.set_capacity(Some(100));
        let full = file.write_all_at(1000, &content[1000..5000]).expect_err("full");
        assert!(full.is_no_space(), "{full}");
        disk.set_capacity(None);
        assert_eq!(file.len().expect("a length"), 1000);
        file.write_all_at(1000, &content[1000..]).expect("writes");
        file.sync_all().expect("syncs");
        for file in [file, vfs(&disk, 2).open("f", OpenMode::Read).expect("opens")] {
            let mut read = vec![0; 10_000];
            let got = file.read_at(0, &mut read).expect("reads over blocks");
            assert_eq!((got, &read[..got]), (content.len(), content.as_slice()));
            assert_eq!(file.map(1).expect_err("sealed").kind, FaultKind::Unsupported);
        }
    }
}
