//! Where the master key comes from. Neither truth nor derived: the key lives outside the store.

use std::fmt;
use std::sync::Arc;

use cairn_vfs::{OpenMode, Vfs};
use zeroize::Zeroizing;

use super::MasterKey;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// Longest key file or answer of a command that is read.
const MAX_CONTENT_LEN: u64 = 1024;

/// Gives the master key.
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// The key.
    ///
    /// # Errors
    /// [`Error::WeakKey`] when it is too short, all zeroes or the like;
    /// [`Error::KeyUnavailable`] when it cannot be fetched.
    fn master_key(&self) -> Result<MasterKey>;
}

/// A key that the caller has: from an environment variable, a prompt, a secret manager.
#[derive(Debug, Clone)]
pub struct GivenKey(MasterKey);

impl GivenKey {
    /// From 32 bytes.
    ///
    /// # Errors
    /// [`Error::WeakKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        MasterKey::from_bytes(bytes).map(Self)
    }

    /// From hexadecimal digits or base64, as [`MasterKey::from_text`].
    ///
    /// # Errors
    /// [`Error::WeakKey`].
    pub fn from_text(text: &str) -> Result<Self> {
        MasterKey::from_text(text).map(Self)
    }
}

impl From<MasterKey> for GivenKey {
    fn from(key: MasterKey) -> Self {
        Self(key)
    }
}

impl KeyProvider for GivenKey {
    fn master_key(&self) -> Result<MasterKey> {
        Ok(self.0.clone())
    }
}

/// A key in a file: 32 bytes, or the text of them. It is read anew each time.
#[derive(Debug, Clone)]
pub struct FileKey {
    vfs: Arc<dyn Vfs>,
    path: String,
}

impl FileKey {
    /// The key in this file.
    #[must_use]
    pub fn new(vfs: Arc<dyn Vfs>, path: impl Into<String>) -> Self {
        Self { vfs, path: path.into() }
    }

    fn read(&self) -> Result<Zeroizing<Vec<u8>>, cairn_vfs::Error> {
        let file = self.vfs.open(&self.path, OpenMode::Read)?;
        // One byte more than allowed is enough to see that it is too long.
        let len = file.len()?.min(MAX_CONTENT_LEN + 1);
        let mut content = Zeroizing::new(vec![0; usize::try_from(len).unwrap_or(0)]);
        let read = file.read_at(0, &mut content)?;
        content.truncate(read);
        Ok(content)
    }
}

impl KeyProvider for FileKey {
    fn master_key(&self) -> Result<MasterKey> {
        let unavailable =
            |error: cairn_vfs::Error| Error::KeyUnavailable { cause: error.to_string() };
        from_capped(&self.read().map_err(unavailable)?)
    }
}

/// A key that a closure fetches: the output of a command, the answer of a key service.
pub struct CommandKey(Box<Fetch>);

type Fetch = dyn Fn() -> Result<Secret, String> + Send + Sync;

impl CommandKey {
    /// Asks this closure each time; it gives 32 bytes or the text of them, or says why not.
    pub fn new(fetch: impl Fn() -> Result<Secret, String> + Send + Sync + 'static) -> Self {
        Self(Box::new(fetch))
    }
}

impl KeyProvider for CommandKey {
    fn master_key(&self) -> Result<MasterKey> {
        let answer = (self.0)().map_err(|cause| Error::KeyUnavailable { cause })?;
        from_capped(answer.expose())
    }
}

impl fmt::Debug for CommandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandKey(..)")
    }
}

fn from_capped(content: &[u8]) -> Result<MasterKey> {
    if content.len() as u64 > MAX_CONTENT_LEN {
        return Err(Error::WeakKey { cause: "the content is too long for a key" });
    }
    MasterKey::from_content(content)
}
