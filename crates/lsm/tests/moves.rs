//! A key on its way between memory, index of places and tables, under every order of threads
//! that a scheduler tries. The protocol is written here once more, step by step as in
//! `tree/points.rs`, `tree/hot.rs` and `tree/flush.rs`, over locks whose scheduler is the test:
//! who looks where first, what is counted, what is under the memtable's lock. A change there has
//! to be made here, too.

use std::collections::BTreeMap;

use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::sync::{Arc, Mutex, RwLock};
use shuttle::thread;

const KEYS: u64 = 2;

/// Steps that are left out to see that the model finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// A key that is taken out of the index is not counted.
    NoCount,
    /// A key leaves memory before it is in the index.
    LateIndex,
    /// A place found in tables is noted without looking whether the key has come into memory.
    BlindNote,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    version: u64,
    dirty: bool,
}

#[derive(Default)]
struct Memtable {
    slots: BTreeMap<u64, Slot>,
    flushing: BTreeMap<u64, u64>,
    complete: bool,
}

struct Model {
    planted: Planted,
    memtable: RwLock<Memtable>,
    /// Key to place; a place is a version here. It evicts nothing.
    index: Mutex<BTreeMap<u64, u64>>,
    /// The budget has left keys out of the index.
    lossy: bool,
    moves: AtomicU64,
    /// Generation and newest versions.
    tables: RwLock<(u64, Arc<BTreeMap<u64, u64>>)>,
    /// Newest acknowledged version of each key.
    acknowledged: [AtomicU64; KEYS as usize],
}

impl Model {
    fn new(planted: Planted, lossy: bool) -> Arc<Self> {
        Arc::new(Self {
            planted,
            memtable: RwLock::new(Memtable { complete: true, ..Memtable::default() }),
            index: Mutex::default(),
            lossy,
            moves: AtomicU64::new(0),
            tables: RwLock::new((0, Arc::default())),
            acknowledged: [const { AtomicU64::new(0) }; KEYS as usize],
        })
    }

    fn levels(&self) -> (u64, Arc<BTreeMap<u64, u64>>) {
        self.tables.read().expect("nobody panics with it").clone()
    }

    fn take_out(&self, key: u64, place: u64) -> bool {
        if self.planted != Planted::NoCount {
            self.moves.fetch_add(1, Ordering::AcqRel);
        }
        let mut index = self.index.lock().expect("nobody panics with it");
        let is_there = index.get(&key) == Some(&place);
        if is_there {
            index.remove(&key);
        }
        is_there
    }

    /// What the index and the record say: `Ok` when that is the newest version.
    fn find(&self, key: u64, moves: u64) -> Result<Option<u64>, ()> {
        let found = self.index.lock().expect("nobody panics with it").get(&key).copied();
        thread::yield_now();
        match found {
            Some(version) => Ok(Some(version)),
            None if !self.lossy && self.moves.load(Ordering::Acquire) == moves => Ok(None),
            None => Err(()),
        }
    }

    fn get(&self, key: u64, promotes: bool) -> Option<u64> {
        let moves = self.moves.load(Ordering::Acquire);
        {
            let memtable = self.memtable.read().expect("nobody panics with it");
            match memtable.slots.get(&key) {
                Some(slot) => return Some(slot.version),
                None if memtable.complete => return None,
                None => {}
            }
        }
        if let Ok(newest) = self.find(key, moves) {
            if let Some(version) = newest
                && promotes
                && let Ok(mut memtable) = self.memtable.try_write()
                && self.take_out(key, version)
            {
                memtable.slots.entry(key).or_insert(Slot { version, dirty: false });
            }
            return newest;
        }
        let (generation, levels) = self.levels();
        thread::yield_now();
        let found = levels.get(&key).copied();
        if let Some(version) = found
            && let Ok(memtable) = self.memtable.try_read()
            && (self.planted == Planted::BlindNote
                || (!memtable.slots.contains_key(&key) && self.levels().0 == generation))
        {
            self.index.lock().expect("nobody panics with it").insert(key, version);
        }
        found
    }

    /// The one writer.
    fn put(&self, key: u64, version: u64) {
        let moves = self.moves.load(Ordering::Acquire);
        let in_memory = {
            let memtable = self.memtable.read().expect("nobody panics with it");
            memtable.complete || memtable.slots.contains_key(&key)
        };
        let before = match in_memory {
            true => None,
            false => match self.find(key, moves) {
                Ok(newest) => newest,
                Err(()) => self.levels().1.get(&key).copied(),
            },
        };
        let mut memtable = self.memtable.write().expect("nobody panics with it");
        if let Some(place) = before {
            self.take_out(key, place);
        }
        memtable.slots.insert(key, Slot { version, dirty: true });
        drop(memtable);
        let newest = &self.acknowledged[usize::try_from(key).expect("few")];
        newest.store(version, Ordering::Release);
    }

    fn flush(&self) {
        let flushing = {
            let mut memtable = self.memtable.write().expect("nobody panics with it");
            let mut flushing = BTreeMap::new();
            for (key, slot) in &mut memtable.slots {
                if std::mem::take(&mut slot.dirty) {
                    flushing.insert(*key, slot.version);
                }
            }
            memtable.flushing = flushing.clone();
            flushing
        };
        let mut levels = BTreeMap::clone(&self.levels().1);
        levels.extend(flushing);
        let mut memtable = self.memtable.write().expect("nobody panics with it");
        let mut tables = self.tables.write().expect("nobody panics with it");
        *tables = (tables.0 + 1, Arc::new(levels));
        memtable.flushing.clear();
    }

    fn evict(&self) {
        let mut memtable = self.memtable.write().expect("nobody panics with it");
        let is_clean = |key: &u64, slot: &Slot| !slot.dirty && !memtable.flushing.contains_key(key);
        let clean = memtable.slots.iter().find(|(key, slot)| is_clean(key, slot));
        let Some((key, version)) = clean.map(|(key, slot)| (*key, slot.version)) else { return };
        memtable.complete = false;
        memtable.slots.remove(&key);
        if self.planted == Planted::LateIndex {
            drop(memtable);
            thread::yield_now();
        }
        if !self.lossy {
            self.index.lock().expect("nobody panics with it").insert(key, version);
        }
    }
}

fn scene(planted: Planted, lossy: bool) {
    let model = Model::new(planted, lossy);
    let run = |act: fn(&Model)| {
        let model = model.clone();
        thread::spawn(move || act(&model))
    };
    model.put(0, 1);
    model.flush();
    model.evict();
    let threads = [
        run(|model| (2..5).for_each(|version| model.put(version % KEYS, version))),
        run(|model| (0..3).for_each(|_| model.flush())),
        run(|model| (0..4).for_each(|_| model.evict())),
        run(|model| reads(model, true)),
        run(|model| reads(model, false)),
    ];
    for thread in threads {
        thread.join().expect("no promise is broken");
    }
}

fn reads(model: &Model, promotes: bool) {
    for round in 0..4 {
        let key = round % KEYS;
        let before = model.acknowledged[usize::try_from(key).expect("few")].load(Ordering::Acquire);
        let found = model.get(key, promotes).unwrap_or(0);
        assert!(found >= before, "key {key}: version {found} after {before} was acknowledged");
    }
}

const RUNS: usize = 3_000;

#[test]
fn a_reader_never_misses_a_key_nor_an_acknowledged_version_in_any_order_of_threads() {
    for lossy in [false, true] {
        shuttle::check_random(move || scene(Planted::Nothing, lossy), RUNS);
        shuttle::check_pct(move || scene(Planted::Nothing, lossy), RUNS, 3);
    }
}

#[test]
fn each_step_of_a_move_is_needed() {
    for (planted, lossy) in
        [(Planted::NoCount, false), (Planted::LateIndex, false), (Planted::BlindNote, true)]
    {
        let outcome = std::panic::catch_unwind(|| {
            shuttle::check_random(move || scene(planted, lossy), 20 * RUNS);
        });
        assert!(outcome.is_err(), "{planted:?} was not found out");
    }
}
