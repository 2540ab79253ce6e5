//! Writes that are under way at the same time on the simulated faulty disk: what was waited for,
//! and what a reader saw, is there after a crash, and what is there is a prefix.

use crate::S;
use crate::crashes::{judge, open};
use crate::model::Model;
use crate::soaking::{is_soak, seeds};
use cairn_mvcc::*;
use cairn_vfs::{Rng, SeededRng, SimConfig, SimVfs};

/// The writes of one life: the state before them all, and that after each.
struct Writes {
    states: Vec<Model>,
    /// How many of the states are passed for good.
    kept: usize,
    /// Writes that nobody waited for, each with the state after it.
    under_way: Vec<(usize, Submitted<()>)>,
}

impl Writes {
    fn newest(&self) -> &Model {
        self.states.last().expect("there is one at first")
    }

    /// Begins a write, and tells whether the disk took it.
    fn begin(&mut self, store: &Store, rng: &SeededRng) -> Result<()> {
        let mut after = self.newest().clone();
        let key = format!("key{}", rng.below(8)).into_bytes();
        let submitted = if rng.below(4) == 0 {
            after.delete(|known, _| known == key);
            store.submit(&[], |planner| {
                planner.delete(&DeleteRange::new(S, Range::key(key.clone()))).map(drop)
            })
        } else {
            let value = vec![7; usize::try_from(rng.below(300)).expect("small")];
            after.put_all(&[(key.clone(), value.clone(), 0)]);
            store.submit(&[], |planner| {
                planner.put(&Put::new(S, key.clone(), value.clone())).map(drop)
            })
        };
        // A failed write may be in the log all the same.
        if after.revision > self.newest().revision {
            self.states.push(after);
        }
        self.under_way.push((self.states.len() - 1, submitted?));
        Ok(())
    }

    /// Waits for one of those under way: it and all before it are kept then.
    fn wait(&mut self, store: &Store, rng: &SeededRng) -> Result<()> {
        let count = self.under_way.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let (state, submitted) =
            self.under_way.swap_remove(usize::try_from(rng.below(count)).expect("small"));
        store.wait(&submitted)?;
        self.kept = self.kept.max(state);
        Ok(())
    }

    /// Looks as a reader does: what it sees must last.
    fn look(&mut self, store: &Store) -> std::result::Result<(), String> {
        let seen = judge(store, &self.states)?;
        let count = RangeRequest { count_only: true, ..RangeRequest::new(S, Range::all()) };
        let count = store.range(&count).map_err(|error| error.to_string())?.count;
        let expected = self.states.get(seen).map(|model| model.at(model.revision).len() as u64);
        if Some(count) != expected {
            return Err(format!("{count} keys are counted in state {seen}, not {expected:?}"));
        }
        if seen < self.kept {
            return Err(format!("a reader sees state {seen}, {} was acknowledged", self.kept));
        }
        self.kept = seen;
        Ok(())
    }
}

/// Works until the disk is down or for so many steps.
fn live(store: &Store, writes: &mut Writes, rng: &SeededRng) -> std::result::Result<(), String> {
    for _ in 0..60 {
        let done = match rng.below(10) {
            0..5 => writes.begin(store, rng),
            5..8 => writes.wait(store, rng),
            8 => {
                // It writes nothing, and rests on all that is under way.
                let deleted = store.delete(&DeleteRange::new(S, Range::key("no such key")));
                deleted.map(|_| writes.kept = writes.states.len() - 1)
            }
            _ => Ok(()),
        };
        done.map_err(|error| error.to_string())?;
        // Reading tables is an operation too: it may be the one that the crash comes in.
        if rng.below(3) == 0 {
            writes.look(store)?;
        }
    }
    Ok(())
}

#[test]
fn m33_writes_that_overlap_are_a_prefix_after_any_crash_and_what_was_seen_lasts() {
    let mut recoveries = 0;
    for seed in seeds(0..150) {
        let rng = SeededRng::new(seed);
        let disk = SimVfs::new(seed, SimConfig::default());
        let mut model = Model::new();
        for _ in 0..6 {
            disk.crash_after(1 + rng.below(200));
            let mut writes = Writes { states: vec![model], kept: 0, under_way: Vec::new() };
            if let Ok(store) = open(&disk, rng.next_u64(), seed % 3 != 0) {
                let lived = live(&store, &mut writes, &rng);
                assert!(lived.is_ok() || disk.is_down(), "seed {seed}: {lived:?}");
                if rng.below(2) == 0 { disk.power_crash() } else { disk.process_crash() }
            } else {
                assert!(disk.is_down(), "seed {seed}: refused without a crash");
                disk.power_crash();
            }
            let store = open(&disk, rng.next_u64(), seed % 3 != 0).expect("recovers");
            let found = judge(&store, &writes.states).unwrap_or_else(|why| panic!("{seed}: {why}"));
            assert!(found >= writes.kept, "seed {seed}: {found} of {}", writes.kept);
            model = writes.states.swap_remove(found);
            disk.process_crash();
            recoveries += 1;
        }
    }
    println!("total: crashes={recoveries} violations=0");
    assert!(is_soak() || recoveries == 900, "{recoveries}");
}
