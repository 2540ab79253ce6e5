//! A disk that fails like real ones, repeatably: everything it does follows from one seed.
//!
//! Every file has two contents: what the page cache shows and what is on the disk. Writes go
//! to the cache and mark 512-byte sectors dirty; a sync moves them to the disk; a power cut
//! decides for every dirty sector alone whether it was kept, lost, zeroed or garbled, and for
//! the length and for names which of the un-synced changes survive. A failed sync marks the
//! sectors clean without writing them, as ext4, XFS and Btrfs do (Rebello et al., ATC 2020).

mod disk;
mod vfs;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::disk::Disk;
use crate::{ManualClock, Op};

/// How often faults happen: each number is a chance in 65,536 per operation of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SimConfig {
    /// A read fails.
    pub read_error: u16,
    /// A write fails after writing a part.
    pub write_error: u16,
    /// A sync fails and forgets what it should have written.
    pub sync_error: u16,
    /// A write or allocation finds no space.
    pub no_space: u16,
    /// A write writes a part and reports no space.
    pub short_write: u16,
    /// One bit of what is read is wrong, this once.
    pub read_flip: u16,
    /// A sync writes a sector to another place of the same file.
    pub misdirected: u16,
    /// A sync loses a sector and reports success.
    pub phantom: u16,
    /// A read shows a sector as it was at the last sync.
    pub stale_read: u16,
    /// Bytes that all files may take together; 0 for no limit. This and the next are no chances.
    pub capacity: u64,
    /// Every operation takes up to this many microseconds, on the clock that was given.
    pub latency_us_max: u32,
}

/// How often each fault happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SimStats {
    /// Operations asked for.
    pub operations: u64,
    /// Reads that failed.
    pub read_errors: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Syncs that failed.
    pub sync_errors: u64,
    /// Writes and allocations without space.
    pub no_space: u64,
    /// Writes cut short.
    pub short_writes: u64,
    /// Reads with a wrong bit.
    pub read_flips: u64,
    /// Sectors written to another place.
    pub misdirected: u64,
    /// Sectors lost by a successful sync.
    pub phantoms: u64,
    /// Sectors read as they were before.
    pub stale_reads: u64,
    /// Power cuts.
    pub power_crashes: u64,
    /// Process crashes.
    pub process_crashes: u64,
    /// Dirty sectors that a power cut kept.
    pub sectors_kept: u64,
    /// Dirty sectors that a power cut lost.
    pub sectors_lost: u64,
    /// Dirty sectors that a power cut zeroed.
    pub sectors_zeroed: u64,
    /// Dirty sectors that a power cut garbled.
    pub sectors_garbled: u64,
    /// Files that a power cut tore in pieces of 512 bytes.
    pub torn_at_512: u64,
    /// Files that a power cut tore in pieces of 4 KiB.
    pub torn_at_4k: u64,
    /// Operations that took time.
    pub delayed: u64,
    /// Un-synced names that a power cut undid.
    pub names_undone: u64,
    /// Un-synced lengths that a power cut undid.
    pub lengths_undone: u64,
}

/// A faulty disk. Clones share it.
///
/// ```
/// use cairn_vfs::{OpenMode, SimConfig, SimVfs, Vfs};
/// let disk = SimVfs::new(7, SimConfig::default());
/// let file = disk.open("a", OpenMode::Create)?;
/// file.write_all_at(0, b"kept")?;
/// file.sync_all()?;
/// disk.sync_dir("")?;
/// disk.power_crash();
/// let file = disk.open("a", OpenMode::Read)?;
/// let mut bytes = [0; 4];
/// file.read_exact_at(0, &mut bytes)?;
/// assert_eq!(&bytes, b"kept");
/// # Ok::<(), cairn_vfs::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SimVfs {
    disk: Arc<Mutex<Disk>>,
}

impl SimVfs {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64, config: SimConfig) -> Self {
        Self { disk: Arc::new(Mutex::new(Disk::new(seed, config))) }
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes which faults happen from now on.
    pub fn set_config(&self, config: SimConfig) {
        self.lock().config = config;
    }

    /// Lets operations take time on this clock, see [`SimConfig::latency_us_max`].
    pub fn set_clock(&self, clock: Arc<ManualClock>) {
        self.lock().clock = Some(clock);
    }

    /// Lets the machine go down in the middle of the `operations`-th operation from now; every
    /// later one fails until [`power_crash`](Self::power_crash) or
    /// [`process_crash`](Self::process_crash).
    pub fn crash_after(&self, operations: u64) {
        self.lock().crash_in = Some(operations);
    }

    /// Whether the machine went down by [`crash_after`](Self::crash_after).
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.lock().down
    }

    /// Cuts the power and starts the machine again: only what was synced is certain. Handles
    /// and locks from before are dead.
    pub fn power_crash(&self) {
        self.lock().power_crash();
    }

    /// Kills the process: the page cache survives. Handles and locks from before are dead.
    pub fn process_crash(&self) {
        self.lock().process_crash();
    }

    /// How often each fault happened so far.
    #[must_use]
    pub fn stats(&self) -> SimStats {
        self.lock().stats
    }

    /// Flips one bit of a file, on the disk and in the cache; says whether there was one.
    pub fn flip_bit(&self, path: &str, bit: u64) -> bool {
        self.lock().flip_bit(path, bit)
    }

    /// Paths of all files.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.lock().paths()
    }

    fn step(&self, op: Op, path: &str, generation: u64) -> crate::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.lock();
        disk.step(op, path, generation)?;
        Ok(disk)
    }
}
