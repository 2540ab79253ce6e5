//! One engine in a process of its own: its memory is then nobody else's, and it can be killed.
//! `cairn-versus --child NAME ACTION DIR KEYS VALUE_LEN BATCH_LEN`

use super::work::{get, key, pairs};
use super::{Mode, Peer};
use crate::payload::Payloads;
use anyhow::{Context, Result, bail};
use std::fs::read_to_string;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The first word of its command line.
pub const WORD: &str = "--child";

/// Whether this process was started as one.
pub fn is_asked_for() -> bool {
    std::env::args().nth(1).is_some_and(|word| word == WORD)
}

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Loads all keys, syncs, stops. Prints its memory and what it wrote.
    Load,
    /// Overwrites every key once, compacts, stops. Prints what it wrote.
    Churn,
    /// Opens, reads one key, prints how long that took, checks some, then overwrites until killed.
    Open,
}

impl Action {
    const ALL: [Self; 3] = [Self::Load, Self::Churn, Self::Open];

    pub fn word(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Churn => "churn",
            Self::Open => "open",
        }
    }
}

/// Every store there is, Cairn's too.
fn peers() -> Vec<Peer> {
    let mut peers = super::others();
    peers.extend([super::cairn::peer(), super::cairn::latest_only()]);
    peers
}

/// What a child was told.
struct Task {
    peer: Peer,
    dir: PathBuf,
    key_count: u64,
    batch_len: usize,
    payloads: Payloads,
}

/// Does what the command line says.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<()> {
    let arguments: Vec<String> = arguments.collect();
    let [name, action, dir, keys, value_len, batch_len] = arguments.as_slice() else {
        bail!("a child is started by `versus space` only");
    };
    let action = Action::ALL.into_iter().find(|known| known.word() == action);
    let batch_len = batch_len.parse()?;
    let task = Task {
        peer: peers().into_iter().find(|peer| peer.name == name).context("no such store")?,
        dir: dir.into(),
        key_count: keys.parse()?,
        batch_len,
        payloads: Payloads::new(value_len.parse()?, batch_len),
    };
    match action.context("no such action")? {
        Action::Load => task.load(),
        Action::Churn => task.churn(),
        Action::Open => task.open(),
    }
}

impl Task {
    fn load(mut self) -> Result<()> {
        let done = AtomicBool::new(false);
        let peak = std::thread::scope(|scope| {
            let watch = scope.spawn(|| watch(&done));
            let loaded = self.load_all();
            done.store(true, Ordering::Relaxed);
            loaded.map(|()| watch.join().expect("it does not panic"))
        })?;
        println!("own_mb {}", peak as f64 / 1e3);
        println!("resident_mb {}", status("VmHWM").unwrap_or(0) as f64 / 1e3);
        print_written();
        Ok(())
    }

    fn load_all(&mut self) -> Result<()> {
        let store = (self.peer.open)(&self.dir, Mode::Buffered)?;
        for first in (0..self.key_count).step_by(self.batch_len) {
            store.put_batch(&pairs(first, self.batch_len, &mut self.payloads))?;
        }
        store.sync()?;
        store.close()
    }

    fn churn(mut self) -> Result<()> {
        let store = (self.peer.open)(&self.dir, Mode::Buffered)?;
        for first in (0..self.key_count).step_by(self.batch_len) {
            store.put_batch(&pairs(first, self.batch_len, &mut self.payloads))?;
        }
        store.compact(&self.dir)?;
        let store = (self.peer.open)(&self.dir, Mode::Buffered)?;
        for number in (0..self.key_count).step_by(997) {
            get(&*store, number, true).context("after the compaction")?;
        }
        store.close()?;
        print_written();
        Ok(())
    }

    fn open(mut self) -> Result<()> {
        let start = Instant::now();
        let store = (self.peer.open)(&self.dir, Mode::Buffered)?;
        get(&*store, self.key_count / 2, true)?;
        let elapsed = start.elapsed();
        for number in (0..self.key_count).step_by(997) {
            get(&*store, number, true).context("after opening again")?;
        }
        println!("open_ms {}", elapsed.as_secs_f64() * 1e3);
        loop {
            for first in (0..self.key_count).step_by(self.batch_len) {
                store.put_batch(&pairs(first, self.batch_len, &mut self.payloads))?;
                std::hint::black_box(key(first));
            }
        }
    }
}

/// The most memory of its own, mapped files aside, that the process had meanwhile, in kB.
fn watch(done: &AtomicBool) -> u64 {
    let mut peak = 0;
    while !done.load(Ordering::Relaxed) {
        peak = peak.max(status("RssAnon").unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    peak
}

fn status(name: &str) -> Option<u64> {
    field("/proc/self/status", name)
}

/// Bytes that the process caused to be sent to the disk.
fn print_written() {
    println!("written {}", field("/proc/self/io", "write_bytes").unwrap_or(0));
}

fn field(file: &str, name: &str) -> Option<u64> {
    let text = read_to_string(file).ok()?;
    let line =
        text.lines().find(|line| line.strip_prefix(name).is_some_and(|l| l.starts_with(':')))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
