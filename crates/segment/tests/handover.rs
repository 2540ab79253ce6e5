//! The hand-over of group commit under every order of threads that a scheduler tries. The
//! protocol is written here once more, statement by statement as in `append/commit.rs` and
//! `append/roll.rs`, over locks whose scheduler is the test: park and unpark, who leads, who is
//! woken, who waits for room. A change there has to be made here, too.

use std::collections::VecDeque;

use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::sync::{Arc, Mutex, MutexGuard};
use shuttle::thread::{self, Thread};

/// Batches that the buffer may hold.
const ROOM: u64 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Written,
    Durable,
}

#[derive(Default)]
struct State {
    next: u64,
    buffered: u64,
    io_running: bool,
    failed: bool,
    waiters: Vec<(u64, Reach, Thread)>,
    to_wake: Vec<Thread>,
}

struct Model {
    state: Mutex<State>,
    written: AtomicU64,
    durable: AtomicU64,
    visible: AtomicU64,
    /// The write that fails, from 1; 0 for none.
    fails_at: u64,
    writes: AtomicU64,
    /// What the file holds, in order.
    file: Mutex<VecDeque<u64>>,
}

struct Poisoned;

impl Model {
    fn new(fails_at: u64) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            written: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            visible: AtomicU64::new(0),
            fails_at,
            writes: AtomicU64::new(0),
            file: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    fn reached(&self, end: u64, reach: Reach) -> bool {
        match reach {
            Reach::Written => self.written.load(Ordering::Acquire) >= end,
            // Visibility is raised last.
            Reach::Durable => {
                self.durable.load(Ordering::Acquire) >= end
                    && self.visible.load(Ordering::Acquire) >= end
            }
        }
    }

    /// Write and sync, as one step that others run beside.
    fn io(&self, from: u64, count: u64) -> bool {
        thread::yield_now();
        if self.writes.fetch_add(1, Ordering::AcqRel) + 1 == self.fails_at {
            return false;
        }
        let mut file = self.file.lock().expect("nobody panics with it");
        assert_eq!(file.len() as u64, from, "written in order, and once");
        file.extend(from..from + count);
        true
    }

    fn submit(&self) -> Result<u64, Poisoned> {
        let mut state = self.lock();
        loop {
            if state.failed {
                return Err(Poisoned);
            }
            if state.buffered < ROOM {
                break;
            }
            state = self.drain(state)?;
        }
        state.next += 1;
        state.buffered += 1;
        assert!(state.buffered <= ROOM);
        Ok(state.next)
    }

    fn wait_until(&self, end: u64, reach: Reach) -> Result<(), Poisoned> {
        if self.reached(end, reach) {
            return Ok(());
        }
        let mut state = self.lock();
        loop {
            if self.reached(end, reach) {
                return Ok(());
            }
            if state.failed {
                return Err(Poisoned);
            }
            if !state.io_running {
                self.lead(state, reach);
                if self.reached(end, reach) {
                    return Ok(());
                }
                state = self.lock();
                continue;
            }
            state.waiters.push((end, reach, thread::current()));
            drop(state);
            thread::park();
            if self.reached(end, reach) {
                return Ok(());
            }
            state = self.lock();
            Self::remove_current(&mut state);
        }
    }

    fn remove_current(state: &mut State) {
        let me = thread::current().id();
        state.waiters.retain(|(_, _, thread)| thread.id() != me);
    }

    fn lead(&self, mut state: MutexGuard<'_, State>, reach: Reach) {
        assert!(!state.io_running, "one leader at a time");
        let sync = reach == Reach::Durable
            || state.waiters.iter().any(|(_, reach, _)| *reach == Reach::Durable);
        let count = std::mem::take(&mut state.buffered);
        let from = state.next - count;
        state.io_running = true;
        drop(state);
        let done = self.io(from, count);
        let mut state = self.lock();
        state.io_running = false;
        if done {
            self.publish(&mut state, from + count, sync)
        } else {
            Self::poison(&mut state)
        }
        let to_wake = std::mem::take(&mut state.to_wake);
        drop(state);
        to_wake.iter().for_each(Thread::unpark);
    }

    fn publish(&self, state: &mut State, end: u64, synced: bool) {
        self.written.fetch_max(end, Ordering::AcqRel);
        if synced {
            self.durable.fetch_max(self.written.load(Ordering::Acquire), Ordering::AcqRel);
        }
        let (written, durable) =
            (self.written.load(Ordering::Acquire), self.durable.load(Ordering::Acquire));
        self.visible.fetch_max(durable, Ordering::AcqRel);
        let State { waiters, to_wake, .. } = state;
        waiters.retain(|(end, reach, thread)| {
            let mark = if *reach == Reach::Durable { durable } else { written };
            if *end <= mark {
                to_wake.push(thread.clone());
            }
            *end > mark
        });
        to_wake.extend(waiters.pop().map(|(_, _, thread)| thread));
    }

    fn poison(state: &mut State) {
        state.failed = true;
        let woken: Vec<_> = state.waiters.drain(..).map(|(_, _, thread)| thread).collect();
        woken.iter().for_each(Thread::unpark);
    }

    /// Makes room: waits while somebody writes, else writes with the lock held.
    fn drain<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> Result<MutexGuard<'a, State>, Poisoned> {
        while state.io_running {
            let end = state.next;
            state.waiters.push((end, Reach::Durable, thread::current()));
            drop(state);
            thread::park();
            state = self.lock();
            Self::remove_current(&mut state);
            if state.failed {
                return Err(Poisoned);
            }
        }
        let count = std::mem::take(&mut state.buffered);
        let from = state.next - count;
        if !self.io(from, count) {
            Self::poison(&mut state);
            return Err(Poisoned);
        }
        self.publish(&mut state, from + count, false);
        let to_wake = std::mem::take(&mut state.to_wake);
        to_wake.iter().for_each(Thread::unpark);
        Ok(state)
    }
}

/// Threads that submit, and wait for some of it; nobody may sleep for ever, which the scheduler
/// reports, and what is acknowledged must be in the file.
fn run(fails_at: u64) {
    let model = Model::new(fails_at);
    let threads: Vec<_> = (0..3)
        .map(|number| {
            let model = model.clone();
            thread::spawn(move || {
                for round in 0..3 {
                    let Ok(end) = model.submit() else { return };
                    let reach = if number == 2 { Reach::Written } else { Reach::Durable };
                    // Some leave their batches to others.
                    if round == 1 && number == 1 {
                        continue;
                    }
                    if model.wait_until(end, reach).is_ok() {
                        let visible = model.visible.load(Ordering::Acquire);
                        let len = model.file.lock().expect("nobody panics with it").len() as u64;
                        assert!(len >= end, "acknowledged and not written");
                        assert!(reach == Reach::Written || visible >= end);
                        assert!(visible <= len, "seen before it was durable");
                    } else {
                        assert!(fails_at > 0, "only a failed write poisons");
                        return;
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("ends");
    }
    let end = model.lock().next;
    if fails_at == 0 {
        assert!(model.wait_until(end, Reach::Durable).is_ok());
        assert_eq!(model.file.lock().expect("nobody panics with it").len() as u64, end);
    }
}

#[test]
fn no_order_of_threads_loses_a_wake_up_or_acknowledges_too_early() {
    shuttle::check_random(|| run(0), 3000);
    shuttle::check_pct(|| run(0), 3000, 3);
}

#[test]
fn a_failed_write_wakes_everybody_in_any_order_of_threads() {
    for fails_at in 1..4 {
        shuttle::check_random(move || run(fails_at), 1000);
    }
}
