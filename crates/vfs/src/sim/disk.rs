//! The state of the simulated disk and what a crash does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{SimConfig, SimStats};
use crate::{Error, FaultKind, ManualClock, Op, Result, Rng, SeededRng};

/// Bytes that a disk writes as one.
pub(super) const SECTOR: usize = 512;
/// Sectors in the 4 KiB that newer disks write as one.
const SECTORS_A_PAGE: usize = 8;

/// A file: what the cache shows, what the disk holds, and where they may differ.
#[derive(Debug, Default)]
pub(super) struct Inode {
    pub(super) cached: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) dirty: BTreeSet<usize>,
}

/// A change of names that is not durable yet.
#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Set(String, u64),
    Unset(String),
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) config: SimConfig,
    pub(super) stats: SimStats,
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// Un-synced changes in order, by directory.
    pending: Vec<(String, Vec<NameChange>)>,
    pub(super) dirs: BTreeSet<String>,
    pub(super) locks: BTreeSet<String>,
    pub(super) generation: u64,
    pub(super) down: bool,
    pub(super) crash_in: Option<u64>,
    /// The clock that operations take their time on.
    pub(super) clock: Option<Arc<ManualClock>>,
    next_inode: u64,
    rng: SeededRng,
}

impl Disk {
    pub(super) fn new(seed: u64, config: SimConfig) -> Self {
        Self {
            config,
            stats: SimStats::default(),
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            dirs: BTreeSet::new(),
            locks: BTreeSet::new(),
            generation: 0,
            down: false,
            crash_in: None,
            clock: None,
            next_inode: 0,
            rng: SeededRng::new(seed),
        }
    }

    /// Counts an operation; it fails when the machine is or goes down, or the handle is dead.
    pub(super) fn step(&mut self, op: Op, path: &str, generation: u64) -> Result<()> {
        if self.down || generation != self.generation {
            return Err(Error::new(op, path, FaultKind::Crashed));
        }
        self.stats.operations += 1;
        if self.config.latency_us_max > 0
            && let Some(clock) = &self.clock
        {
            let micros = self.rng.below(u64::from(self.config.latency_us_max) + 1);
            clock.advance(Duration::from_micros(micros));
            self.stats.delayed += u64::from(micros > 0);
        }
        if let Some(left) = &mut self.crash_in {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.crash_in = None;
                self.down = true;
            }
        }
        Ok(())
    }

    /// Whether the machine went down within the current operation.
    pub(super) fn check_up(&self, op: Op, path: &str) -> Result<()> {
        if self.down { Err(Error::new(op, path, FaultKind::Crashed)) } else { Ok(()) }
    }

    /// Rolls for a fault.
    pub(super) fn happens(&self, chance: u16) -> bool {
        chance > 0 && self.rng.below(65_536) < u64::from(chance)
    }

    pub(super) fn below(&self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).expect("fits");
        usize::try_from(self.rng.below(bound)).expect("below a usize")
    }

    pub(super) fn new_inode(&mut self) -> u64 {
        self.next_inode += 1;
        self.inodes.insert(self.next_inode, Inode::default());
        self.next_inode
    }

    pub(super) fn used(&self) -> u64 {
        self.names
            .values()
            .filter_map(|id| self.inodes.get(id))
            .map(|i| i.cached.len() as u64)
            .sum()
    }

    pub(super) fn change_name(&mut self, changes: Vec<NameChange>) {
        for change in &changes {
            apply(&mut self.names, change);
        }
        let name = changes.last().map(name_of).unwrap_or_default();
        let dir = crate::path::split(&name).0.to_owned();
        self.pending.push((dir, changes));
    }

    /// Makes the names of one directory durable.
    pub(super) fn sync_names(&mut self, dir: &str) {
        let pending = std::mem::take(&mut self.pending);
        for (changed, changes) in pending {
            if changed == dir {
                changes.iter().for_each(|change| apply(&mut self.durable_names, change));
            } else {
                self.pending.push((changed, changes));
            }
        }
    }

    /// Moves dirty sectors to the disk, unless a fault says otherwise.
    pub(super) fn sync_inode(&mut self, id: u64) -> bool {
        let failed = self.happens(self.config.sync_error);
        let (mut misdirected, mut phantoms) = (Vec::new(), Vec::new());
        let dirty: Vec<usize> = match self.inodes.get_mut(&id) {
            Some(inode) => std::mem::take(&mut inode.dirty).into_iter().collect(),
            None => return true,
        };
        if failed {
            self.stats.sync_errors += 1;
            return false;
        }
        for &sector in &dirty {
            if self.happens(self.config.misdirected) {
                misdirected.push(sector);
            } else if self.happens(self.config.phantom) {
                phantoms.push(sector);
            }
        }
        self.stats.misdirected += misdirected.len() as u64;
        self.stats.phantoms += phantoms.len() as u64;
        let places: Vec<usize> = misdirected.iter().map(|_| self.below(1 << 16)).collect();
        let inode = self.inodes.get_mut(&id).expect("looked up above");
        inode.durable.resize(inode.cached.len(), 0);
        for &sector in &dirty {
            if !misdirected.contains(&sector) && !phantoms.contains(&sector) {
                inode.copy_sector(sector);
            }
        }
        for (&sector, place) in misdirected.iter().zip(places) {
            let sectors = inode.durable.len().div_ceil(SECTOR).max(1);
            let (from, to) = (sector * SECTOR, (place % sectors) * SECTOR);
            let len = SECTOR.min(inode.cached.len().saturating_sub(from));
            let len = len.min(inode.durable.len().saturating_sub(to));
            let bytes = inode.cached[from..from + len].to_vec();
            inode.durable[to..to + len].copy_from_slice(&bytes);
        }
        if !misdirected.is_empty() || !phantoms.is_empty() {
            // The cache is dropped some time; what it hid becomes visible.
            inode.cached.clone_from(&inode.durable);
        }
        true
    }

    pub(super) fn process_crash(&mut self) {
        self.stats.process_crashes += 1;
        self.restart();
    }

    fn restart(&mut self) {
        self.generation += 1;
        self.down = false;
        self.crash_in = None;
        self.locks.clear();
    }

    pub(super) fn power_crash(&mut self) {
        self.stats.power_crashes += 1;
        let ids: Vec<u64> = self.inodes.keys().copied().collect();
        for id in ids {
            let mut inode = self.inodes.remove(&id).expect("listed");
            self.crash_inode(&mut inode);
            self.inodes.insert(id, inode);
        }
        // A journal keeps names in order: what survives of each directory is a prefix.
        let pending = std::mem::take(&mut self.pending);
        let mut stopped = BTreeSet::new();
        for (dir, changes) in pending {
            if stopped.contains(&dir) || self.rng.below(2) == 0 {
                self.stats.names_undone += 1;
                stopped.insert(dir);
            } else {
                changes.iter().for_each(|change| apply(&mut self.durable_names, change));
            }
        }
        self.names.clone_from(&self.durable_names);
        let live: BTreeSet<u64> = self.names.values().copied().collect();
        self.inodes.retain(|id, _| live.contains(id));
        self.restart();
    }

    /// Decides what a power cut leaves of one file.
    fn crash_inode(&mut self, inode: &mut Inode) {
        let old_len = inode.durable.len();
        let new_len = inode.cached.len();
        let dirty = std::mem::take(&mut inode.dirty);
        let len = if old_len != new_len && self.rng.below(2) == 0 {
            self.stats.lengths_undone += 1;
            old_len
        } else {
            new_len
        };
        inode.durable.resize(len.max(old_len), 0);
        // A mood for the whole file makes "all lost" and "all kept" likely, not only mixtures.
        let mood = self.rng.below(4);
        // Disks write 512 bytes or 4 KiB as one; half of the files tear at each.
        let sectors_as_one = if self.rng.below(2) == 0 { 1 } else { SECTORS_A_PAGE };
        self.stats.torn_at_4k += u64::from(sectors_as_one == SECTORS_A_PAGE && mood > 1);
        self.stats.torn_at_512 += u64::from(sectors_as_one == 1 && mood > 1);
        let mut torn = Vec::new();
        let mut last = None;
        for sector in dirty {
            let unit = sector / sectors_as_one;
            let fate = match (mood, last) {
                (0, _) => 0,
                (1, _) => 1,
                (_, Some((before, fate))) if before == unit => fate,
                _ => self.rng.below(8),
            };
            last = Some((unit, fate));
            match fate {
                0 | 4 | 5 => {
                    self.stats.sectors_kept += 1;
                    inode.copy_sector(sector);
                }
                2 => {
                    self.stats.sectors_zeroed += 1;
                    torn.push((sector, None));
                }
                3 => {
                    self.stats.sectors_garbled += 1;
                    torn.push((sector, Some(self.rng.next_u64())));
                }
                _ => self.stats.sectors_lost += 1,
            }
        }
        for (sector, garbage) in torn {
            inode.spoil_sector(sector, garbage);
        }
        inode.durable.truncate(len);
        inode.cached.clone_from(&inode.durable);
    }

    pub(super) fn flip_bit(&mut self, path: &str, bit: u64) -> bool {
        let inode = self.names.get(path).and_then(|id| self.inodes.get_mut(id));
        let Some(inode) = inode else { return false };
        let Ok(byte) = usize::try_from(bit / 8) else { return false };
        for content in [&mut inode.cached, &mut inode.durable] {
            match content.get_mut(byte) {
                Some(byte) => *byte ^= 1 << (bit % 8),
                None => return false,
            }
        }
        true
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }
}

impl Inode {
    fn copy_sector(&mut self, sector: usize) {
        let start = sector * SECTOR;
        let end = (start + SECTOR).min(self.cached.len()).min(self.durable.len());
        if start < end {
            self.durable[start..end].copy_from_slice(&self.cached[start..end]);
        }
    }

    /// Zeroes or garbles the bytes of a sector that differ: a torn write damages no byte
    /// outside the range that was written.
    fn spoil_sector(&mut self, sector: usize, garbage: Option<u64>) {
        let start = sector * SECTOR;
        let end = (start + SECTOR).min(self.cached.len()).min(self.durable.len());
        for at in start..end {
            if self.durable[at] != self.cached[at] {
                self.durable[at] = match garbage {
                    None => 0,
                    Some(seed) => (seed >> (at % 8 * 8)) as u8,
                };
            }
        }
    }

    /// Cuts or extends what the cache shows. Where the disk still has what was cut off, the zeroes
    /// in its place have to be written like any bytes.
    pub(super) fn set_len(&mut self, len: usize) {
        let (from, to) = (self.cached.len(), len.min(self.durable.len()));
        self.cached.resize(len, 0);
        if from < to {
            self.dirty.extend(from / SECTOR..=(to - 1) / SECTOR);
        }
    }

    /// Writes into the cache.
    pub(super) fn write(&mut self, position: usize, bytes: &[u8]) {
        let end = position + bytes.len();
        if self.cached.len() < end {
            self.set_len(end);
        }
        self.cached[position..end].copy_from_slice(bytes);
        if !bytes.is_empty() {
            self.dirty.extend(position / SECTOR..=(end - 1) / SECTOR);
        }
    }
}

fn apply(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    match change {
        NameChange::Set(name, id) => {
            names.insert(name.clone(), *id);
        }
        NameChange::Unset(name) => {
            names.remove(name);
        }
    }
}

fn name_of(change: &NameChange) -> String {
    match change {
        NameChange::Set(name, _) | NameChange::Unset(name) => name.clone(),
    }
}
