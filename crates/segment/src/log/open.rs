//! Opening a log: settings and surroundings first, then recovery.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_codec::CodecRegistry;
use cairn_types::{ChainHash, Lsn};
use cairn_vfs::{Clock, OpenMode, OsRng, Rng, StdVfs, SystemClock, Vfs};

use super::background::Background;
use super::{Head, Log, Shared};
use crate::append::{Append, Watermarks};
use crate::mutation::Mutations;
use crate::observe::Counters;
use crate::read::Batches;
use crate::recover::{open_store, read_layout, refuse_unfinished_import};
use crate::segments::Segments;
use crate::store::Store;
use crate::watch::Listeners;
use crate::{Error, IoMode, LogConfig, RecoveryReport, Result};

/// Lock file of a store.
pub(crate) const LOCK_PATH: &str = "LOCK";

/// How a log is opened.
///
/// ```
/// use cairn_segment::{Log, LogConfig};
/// use cairn_vfs::MemVfs;
/// use std::sync::Arc;
/// let log = Log::options().vfs(Arc::new(MemVfs::new())).open()?;
/// assert_eq!(log.visible_end().get(), 0);
/// # Ok::<(), cairn_segment::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "nothing is opened until `open` is called"]
pub struct LogOptions {
    vfs: Option<Arc<dyn Vfs>>,
    clock: Option<Arc<dyn Clock>>,
    rng: Option<Arc<dyn Rng>>,
    config: LogConfig,
    registry: CodecRegistry,
    sealing_keys: Vec<zeroize::Zeroizing<Vec<u8>>>,
    mutations: Mutations,
}

impl LogOptions {
    /// Where the files lie; required.
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = Some(vfs);
        self
    }

    /// The clock; the system's by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The source of random bytes; the system's by default.
    pub fn rng(mut self, rng: Arc<dyn Rng>) -> Self {
        self.rng = Some(rng);
        self
    }

    /// The settings.
    pub fn config(mut self, config: LogConfig) -> Self {
        self.config = config;
        self
    }

    /// The codecs that can be read; none, LZ4 and (with the feature `zstd`) Zstandard by default.
    pub fn codecs(mut self, registry: CodecRegistry) -> Self {
        self.registry = registry;
        self
    }

    /// Encrypts the bodies of batches, in segments written from now on. The key of 32 bytes wraps
    /// the data keys, which are random and lie in the store's key ring. A log that is encrypted
    /// needs the key to be opened. Given several, the first wraps in a new store, and each opens
    /// what it wrapped: give the old and the new one while keys are being rotated.
    ///
    /// Headers stay readable: lengths, LSNs, times and chain values.
    pub fn sealing_key(mut self, secret: &[u8]) -> Self {
        self.sealing_keys.push(zeroize::Zeroizing::new(secret.to_vec()));
        self
    }

    /// Plants a bug that tests must catch.
    #[cfg(feature = "mutants")]
    pub fn mutation(mut self, mutation: crate::mutation::Mutation) -> Self {
        self.mutations.active = Some(mutation);
        self
    }

    fn store(self, read_only: bool) -> Result<Store> {
        self.config.check()?;
        let vfs = self.vfs.ok_or_else(|| Error::Invalid {
            what: "options",
            reason: "no vfs was given; use Log::open for a directory".into(),
        })?;
        let mut registry = self.registry;
        for secret in &self.sealing_keys {
            registry = registry.with_sealing_key(secret).map_err(|_| {
                let reason = "it is not 32 bytes, or all of them are zero".into();
                Error::Invalid { what: "sealing key", reason }
            })?;
        }
        Ok(Store {
            vfs,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock::default())),
            rng: self.rng.unwrap_or_else(|| Arc::new(OsRng)),
            config: self.config,
            registry,
            id: [0; 16],
            mutations: self.mutations,
            read_only,
            counters: Counters::new(),
        })
    }

    /// Opens the log, creating it in an empty directory and recovering it after a crash.
    ///
    /// # Errors
    /// [`Error::Corrupt`] and its kin for damage (nothing is changed then), [`Error::Invalid`] for
    /// settings that cannot work, [`Error::Sealed`] without the right key, the vfs's
    /// [`Locked`](cairn_vfs::FaultKind::Locked) when somebody else has it open.
    #[cfg_attr(feature = "tracing", tracing::instrument(name = "cairn_log_open", skip_all, err))]
    pub fn open(self) -> Result<Log> {
        let store = self.store(false)?;
        let lock = store.vfs.lock(LOCK_PATH)?;
        let opened = open_store(store)?;
        let store = opened.store;
        let segments = Arc::new(Segments::new(opened.segments));
        let append = Append::new(store.clone(), opened.superblock, segments.clone(), opened.start);
        let append = Arc::new(append);
        let background = match store.config.unsynced_time_max() {
            Some(limit) if store.config.background => {
                let period = (limit / 4).clamp(Duration::from_millis(1), Duration::from_millis(50));
                Background::start(&append, period).map_err(|error| Error::Invalid {
                    what: "background thread",
                    reason: error.to_string(),
                })?
            }
            _ => Background::default(),
        };
        Ok(Log {
            shared: Arc::new(Shared {
                segments,
                marks: append.marks.clone(),
                listeners: append.listeners.clone(),
                batches: Batches::new(store.clone()),
                append: Some(append),
                report: opened.report,
                maintenance: Mutex::new(()),
                background,
                read_only_head: Mutex::new(Head {
                    next_lsn: Lsn::new(0),
                    chain: ChainHash::GENESIS,
                }),
                store,
                _lock: Some(lock),
            }),
        })
    }

    /// Opens the log for reading only, also while another process writes it. What that process
    /// writes later is seen after [`Log::refresh`]. Records are shown once they are whole in
    /// the files, which may be before they are durable.
    ///
    /// # Errors
    /// [`Error::NoStore`] when there is none; damage as [`open`](Self::open).
    pub fn open_read_only(mut self) -> Result<Log> {
        // Another process may cut or replace files under a mapping.
        self.config.io = IoMode::Pread;
        let mut store = self.store(true)?;
        refuse_unfinished_import(&*store.vfs)?;
        let layout = read_layout(&*store.vfs, OpenMode::Read)?.ok_or(Error::NoStore)?;
        store.registry = layout.unlock(&store.registry)?;
        store.id = layout.store.id;
        let store = Arc::new(store);
        let start = layout.superblock.start_lsn;
        let listeners = Arc::new(Listeners::default());
        let log = Log {
            shared: Arc::new(Shared {
                segments: Arc::new(Segments::new(Vec::new())),
                marks: Arc::new(Watermarks::new(start, start)),
                listeners,
                batches: Batches::new(store.clone()),
                append: None,
                report: RecoveryReport {
                    damaged_slots: layout.damaged_slots.clone(),
                    ..RecoveryReport::default()
                },
                maintenance: Mutex::new(()),
                background: Background::default(),
                read_only_head: Mutex::new(Head {
                    next_lsn: start,
                    chain: layout.superblock.chain,
                }),
                store,
                _lock: None,
            }),
        };
        log.adopt_layout(layout)?;
        log.refresh()?;
        Ok(log)
    }
}

impl Log {
    /// Opens the log in a directory of the real file system, creating both when absent.
    ///
    /// # Errors
    /// As [`LogOptions::open`]; the vfs's [`Permissions`](cairn_vfs::FaultKind::Permissions) for a
    /// directory that others own or can write to.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::options().vfs(Arc::new(StdVfs::create(dir)?)).open()
    }

    /// Opens the log in a directory for reading only.
    ///
    /// # Errors
    /// As [`LogOptions::open_read_only`].
    pub fn open_read_only(dir: impl AsRef<Path>) -> Result<Self> {
        Self::options().vfs(Arc::new(StdVfs::open(dir)?)).open_read_only()
    }

    /// How to open a log in other surroundings.
    pub fn options() -> LogOptions {
        LogOptions::default()
    }
}
