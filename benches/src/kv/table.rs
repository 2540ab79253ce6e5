//! The work of redb's published benchmark table, each row after the one before on the same
//! store: a load, synced writes, a count, reads by one and by many, removals, sizes.

use super::work::{disk_len, fresh_dir, get, key, pairs, random};
use super::{Mode, OpenStore, Peer};
use crate::measure::{Row, in_turn, repeat_by_threads};
use crate::options::{Options, Sizes};
use crate::payload::Payloads;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Keys of a range that is read.
const RANGE_LEN: usize = 10;

/// What is timed, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    BulkLoad,
    Writes,
    Batches,
    Len,
    Reads,
    Ranges,
    Threads(usize),
    Removals,
    Uncompacted,
    Compacted,
}

impl Work {
    fn all(threads: &[usize]) -> Vec<Self> {
        let mut all = vec![Self::BulkLoad, Self::Writes, Self::Batches, Self::Len, Self::Reads];
        all.push(Self::Ranges);
        all.extend(threads.iter().map(|count| Self::Threads(*count)));
        all.extend([Self::Removals, Self::Uncompacted, Self::Compacted]);
        all
    }

    fn name(self, sizes: &Sizes) -> String {
        match self {
            Self::BulkLoad => format!("bulk load of {} keys", sizes.key_count),
            Self::Writes => "individual writes, synced".into(),
            Self::Batches => format!("batch writes of {}, synced", sizes.batch_len),
            Self::Len => "len()".into(),
            Self::Reads => "random reads".into(),
            Self::Ranges => format!("random range reads of {RANGE_LEN}"),
            Self::Threads(count) => format!("random reads ({count} threads)"),
            Self::Removals => "removals of half the keys".into(),
            Self::Uncompacted => "uncompacted size".into(),
            Self::Compacted => "compacted size".into(),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Len => "counts",
            Self::Ranges => "ranges",
            Self::Uncompacted | Self::Compacted => "MB",
            _ => "keys",
        }
    }

    fn promise(self, peer: &Peer) -> &'static str {
        match self {
            Self::Writes | Self::Batches => peer.durable.unwrap_or("-"),
            Self::BulkLoad | Self::Removals => "synced at its end",
            _ => "-",
        }
    }

    fn row(self, sizes: &Sizes, cairn: &Peer, other: &Peer) -> Row {
        let base = (cairn.name, self.promise(cairn));
        let mut row =
            Row::new(self.name(sizes), self.unit(), (other.name, Ok(self.promise(other))), base);
        row.less = self.unit() == "MB";
        row
    }
}

/// Every row.
pub fn run(options: &Options) -> Result<Vec<Row>> {
    let (cairn, others, sizes) = (super::cairn::peer(), super::chosen(options)?, &options.sizes);
    let works = Work::all(&options.threads);
    let mut rows: Vec<Row> = others
        .iter()
        .flat_map(|other| works.iter().map(|work| work.row(sizes, &cairn, other)))
        .collect();
    for round in 0..options.rounds {
        for (other, rows) in others.iter().zip(rows.chunks_mut(works.len())) {
            eprintln!("redb's table, round {}, {}", round + 1, other.name);
            let run =
                |peer: &Peer| Course::new(peer, options).and_then(|course| course.run(&works));
            let (ours, theirs) = in_turn(round, || run(&cairn), || run(other));
            let ours = ours?;
            match theirs {
                Err(error) => rows.iter_mut().for_each(|row| {
                    row.failure = Some(format!("{error:#}"));
                }),
                Ok(theirs) => {
                    for (row, (ours, theirs)) in rows.iter_mut().zip(ours.into_iter().zip(theirs)) {
                        if row.failure.is_none() {
                            row.record(ours, theirs);
                        }
                    }
                }
            }
        }
    }
    // Line by line, not engine by engine.
    let order = |row: &Row| works.iter().position(|work| work.name(sizes) == row.work);
    rows.sort_by_key(order);
    rows.retain(|row| row.work.contains(&options.work));
    Ok(rows)
}

/// One engine on its way through all rows.
struct Course<'a> {
    peer: &'a Peer,
    options: &'a Options,
    payloads: Payloads,
    dir: tempfile::TempDir,
    /// Closed between the load, which syncs at its end, and what syncs each time.
    store: Option<Box<dyn OpenStore>>,
    /// Keys written so far.
    count: u64,
}

impl<'a> Course<'a> {
    fn new(peer: &'a Peer, options: &'a Options) -> Result<Self> {
        let sizes = &options.sizes;
        let payloads = Payloads::new(sizes.payload_len, sizes.batch_len);
        let dir = fresh_dir(options)?;
        Ok(Self { peer, options, payloads, dir, store: None, count: 0 })
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn store(&self) -> &dyn OpenStore {
        &**self.store.as_ref().expect("it is open")
    }

    /// A figure of each row. The rest is given up when the load fails.
    fn run(mut self, works: &[Work]) -> Result<Vec<Result<f64>>> {
        let mut figures = Vec::new();
        for work in works {
            let figure = self.one(*work);
            if *work == Work::BulkLoad {
                figures.push(Ok(figure.context("the load")?));
            } else {
                figures.push(figure);
            }
        }
        Ok(figures)
    }

    fn one(&mut self, work: Work) -> Result<f64> {
        let sizes = self.options.sizes.clone();
        match work {
            Work::BulkLoad => self.bulk_load(&sizes),
            Work::Writes => {
                let (from, value) = (self.count, self.payloads.one(0).to_vec());
                self.count += sizes.write_count;
                timed(sizes.write_count, || {
                    (from..from + sizes.write_count).try_for_each(|number| {
                        self.store().put(&key(number), &numbered(&value, number))
                    })
                })
            }
            Work::Batches => {
                let mut batches = Vec::new();
                for _ in 0..sizes.batch_count {
                    batches.push(pairs(self.count, sizes.batch_len, &mut self.payloads));
                    self.count += sizes.batch_len as u64;
                }
                timed(sizes.batch_count * sizes.batch_len as u64, || {
                    batches.iter().try_for_each(|batch| self.store().put_batch(batch))
                })
            }
            Work::Len => timed(1, || {
                let found = self.store().len()?;
                ensure!(found == self.count, "it counts {found} of {}", self.count);
                Ok(())
            }),
            Work::Reads => timed(sizes.read_count, || {
                let mut random = random(3);
                self.store().reading(&mut |view| {
                    (0..sizes.read_count).try_for_each(|_| get(view, random(self.count), true))
                })
            }),
            Work::Ranges => timed(sizes.read_count / 2, || self.ranges(sizes.read_count / 2)),
            Work::Threads(count) => repeat_by_threads(count, sizes.budget, |thread, at| {
                let number = random(at * 64 + thread as u64)(self.count);
                get(self.store(), number, true)
            }),
            Work::Removals => self.remove_half(&sizes),
            Work::Uncompacted => {
                self.store.take().context("it is open")?.close()?;
                Ok(disk_len(&self.path())? as f64 / 1e6)
            }
            Work::Compacted => {
                let path = self.path();
                (self.peer.open)(&path, Mode::Buffered)?.compact(&path)?;
                self.check_rest(&path)?;
                Ok(disk_len(&path)? as f64 / 1e6)
            }
        }
    }

    fn bulk_load(&mut self, sizes: &Sizes) -> Result<f64> {
        let store = (self.peer.open)(&self.path(), Mode::Buffered)?;
        let (total, len) = (sizes.key_count, sizes.batch_len);
        // The time to make the pairs counts for everybody: all of them at once would not fit.
        let payloads = &mut self.payloads;
        let mut batches = (0..total).step_by(len).map(|first| pairs(first, len, payloads));
        let rate = timed(total, || store.load(&mut batches))?;
        store.close()?;
        self.count = total;
        self.store = Some((self.peer.open)(&self.path(), Mode::Durable)?);
        Ok(rate)
    }

    fn ranges(&self, count: u64) -> Result<()> {
        let mut random = random(4);
        self.store().reading(&mut |view| {
            for _ in 0..count {
                let mut found = 0;
                view.scan(&key(random(self.count)), RANGE_LEN, &mut |_, value| {
                    found += usize::from(!value.is_empty());
                })?;
                ensure!(found > 0 && found <= RANGE_LEN, "{found} keys in a range");
            }
            Ok(())
        })
    }

    /// The keys with even numbers go, in the order in which they came.
    fn remove_half(&mut self, sizes: &Sizes) -> Result<f64> {
        let store = self.store.take().context("it is open")?;
        store.close()?;
        let store = (self.peer.open)(&self.path(), Mode::Buffered)?;
        let (count, step) = (self.count, sizes.batch_len as u64 * 2);
        let mut batches = (0..count).step_by(usize::try_from(step)?).map(|first| {
            (first..(first + step).min(count)).step_by(2).map(key).collect::<Vec<_>>()
        });
        let rate = timed(count.div_ceil(2), || store.remove(&mut batches))?;
        self.store = Some(store);
        Ok(rate)
    }

    /// What was removed stays away, what was not is there.
    fn check_rest(&self, path: &Path) -> Result<()> {
        let store = (self.peer.open)(path, Mode::Buffered)?;
        for number in (0..self.count).step_by(997) {
            get(&*store, number, number % 2 == 1).context("after the removals")?;
        }
        store.close()
    }
}

fn numbered(value: &[u8], number: u64) -> Vec<u8> {
    let mut value = value.to_vec();
    value[..8].copy_from_slice(&number.to_le_bytes());
    value
}

/// How many of `count` a second.
fn timed(count: u64, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
