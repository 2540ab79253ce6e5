//! The follower: one task that brings the backend up to date from the engine's watch, in order,
//! and says in the head how far it is. Derived: from the log; it remembers nothing that it could
//! not forget.
//!
//! When a call fails, or the head is not what the follower wrote last (the server was started
//! again, lost its memory, or came back with an old copy), nothing in the backend can be relied
//! on any more: a new epoch begins, empty. So no queue grows while a server is away, and what a
//! paused server carries out late lands where nobody looks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairndb::keys::{ChangeMark, WatchBatch, WatchRequest, Watcher};
use cairndb::prelude::Range;
use tokio::sync::{Notify, mpsc, watch};

use super::Core;
use super::head::{Head, MOVE_HEAD, new_epoch, payload};
use crate::backend::Change;
use crate::flight::Found;
use crate::pace::spread;
use crate::{Error, Result};

/// Changes written at once, and about how many bytes of them.
const BATCH_MAX: usize = 1024;
const BATCH_LEN_MAX: usize = 4 << 20;
/// Pause between rounds, so that many small writes become one round.
const GATHER: Duration = Duration::from_millis(1);
/// How much of a time to live is left to chance, in percent.
const TTL_SPREAD: u64 = 10;

/// A value that a read found, for the backend.
#[derive(Debug)]
pub(crate) struct Fill {
    pub(crate) key: Bytes,
    pub(crate) found: Found,
}

/// The follower's place.
#[derive(Debug)]
struct Standing {
    watcher: Watcher,
    head: Head,
    mark: ChangeMark,
}

/// The follower's ends of its channels.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) fills: mpsc::Receiver<Fill>,
    pub(crate) applied: watch::Sender<u64>,
    /// Ends with the store.
    pub(crate) alive: mpsc::Receiver<()>,
}

pub(crate) async fn run(core: Arc<Core>, mut ends: Ends) {
    let moved = Arc::new(Notify::new());
    let told = moved.clone();
    let log = core.keyspace.engine().log();
    let _listening = log.on_advance(Box::new(move |_| told.notify_one()));
    let mut standing = None;
    loop {
        round(&core, &mut standing, &mut ends).await;
        tokio::select! {
            () = moved.notified() => {}
            () = tokio::time::sleep(core.options.heartbeat) => {}
            _ = ends.alive.recv() => return,
        }
        tokio::time::sleep(GATHER).await;
    }
}

async fn round(core: &Core, standing: &mut Option<Standing>, ends: &mut Ends) {
    if !core.breaker.allows() {
        core.set_epoch(None);
        *standing = None;
        while ends.fills.try_recv().is_ok() {}
        return;
    }
    let went = match standing.take() {
        Some(now) => follow(core, now, ends).await,
        None => begin(core).await,
    };
    match went {
        Ok(now) => {
            core.breaker.succeeded();
            ends.applied.send_replace(now.head.revision);
            core.set_epoch(Some(now.head.epoch.clone()));
            *standing = Some(now);
        }
        Err(error) => {
            core.set_epoch(None);
            if !matches!(error, Error::Engine(_)) {
                core.figures.backend_errors.add(1);
                core.breaker.failed();
            }
        }
    }
}

/// Begins an epoch at the engine's revision of now.
async fn begin(core: &Core) -> Result<Standing> {
    let time_us = core.backend.time().await?;
    let mark = core.keyspace.engine().keys().change_mark();
    let request = WatchRequest::new(core.keyspace.stream(), Range::all());
    let watcher = core.keyspace.watch(request.from(mark.revision + 1))?;
    let head = Head { epoch: new_epoch(&*core.options.rng), revision: mark.revision, time_us };
    if !move_head(core, Bytes::new(), &head).await? {
        return Err(Error::protocol("the head was not taken"));
    }
    core.figures.epochs.add(1);
    Ok(Standing { watcher, head, mark })
}

async fn move_head(core: &Core, expected: Bytes, head: &Head) -> Result<bool> {
    let ttl = core.options.heartbeat.saturating_mul(20).max(Duration::from_secs(5));
    let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).to_string();
    let args = [expected, head.encode(), ttl.into()];
    let reply = core.backend.script(&MOVE_HEAD, &[core.names.head()], &args).await?;
    Ok(reply.as_int() == Some(1))
}

/// Brings the backend to the engine's revision of now.
async fn follow(core: &Core, mut now: Standing, ends: &mut Ends) -> Result<Standing> {
    let time_us = core.backend.time().await?;
    let mark = core.keyspace.engine().keys().change_mark();
    if mark.forgotten != now.mark.forgotten {
        // A keyspace was dropped, perhaps this one: no change says so for each key.
        return begin(core).await;
    }
    let mut pending = Pending::default();
    while now.watcher.next_revision() <= mark.revision {
        let batch = now.watcher.try_next().map_err(cairndb::engine::Error::from)?;
        let is_last = batch.is_none();
        for change in batch.into_iter().flat_map(|batch| changes_of(core, &now.head, batch)) {
            pending.push(change);
        }
        if pending.is_full() {
            apply(core, &mut pending).await?;
        }
        if is_last {
            break;
        }
    }
    apply(core, &mut pending).await?;
    fill(core, &now.head, ends).await?;
    let revision = now.watcher.next_revision() - 1;
    let head = Head { epoch: now.head.epoch.clone(), revision, time_us };
    if !move_head(core, now.head.encode(), &head).await? {
        return begin(core).await;
    }
    now.head = head;
    Ok(now)
}

/// Changes that go together.
#[derive(Debug, Default)]
struct Pending {
    changes: Vec<Change>,
    len: usize,
}

impl Pending {
    fn push(&mut self, change: Change) {
        self.len += change.value.as_ref().map_or(0, Bytes::len);
        self.changes.push(change);
    }

    fn is_full(&self) -> bool {
        self.changes.len() >= BATCH_MAX || self.len >= BATCH_LEN_MAX
    }
}

async fn apply(core: &Core, pending: &mut Pending) -> Result<()> {
    let Pending { changes, .. } = std::mem::take(pending);
    if !changes.is_empty() {
        core.backend.apply(&changes).await?;
        core.figures.changes.add(changes.len() as u64);
    }
    Ok(())
}

fn changes_of(core: &Core, head: &Head, batch: WatchBatch) -> Vec<Change> {
    let change = |change: cairndb::keys::Change| {
        let value = (!change.deleted).then_some(change.kv.value);
        entry(core, head, &change.kv.key, &Found { value, revision: change.kv.mod_revision })
    };
    batch.changes.into_iter().map(change).collect()
}

/// An entry; a value over the limit becomes a tombstone, which says that nothing is known.
fn entry(core: &Core, head: &Head, key: &[u8], found: &Found) -> Change {
    let fits = found.value.as_ref().is_none_or(|value| value.len() <= core.options.value_len_max);
    Change {
        key: core.names.entry(&head.epoch, key),
        value: fits.then(|| payload(found.value.as_ref())),
        revision: found.revision,
        ttl: spread(core.options.ttl, TTL_SPREAD, &*core.options.rng),
    }
}

/// Hands on what reads have found, as far as it is still so.
async fn fill(core: &Core, head: &Head, ends: &mut Ends) -> Result<()> {
    let mut pending = Pending::default();
    while !pending.is_full() {
        let Ok(Fill { key, found }) = ends.fills.try_recv() else { break };
        if core.is_newest(&key, &found)? {
            pending.push(entry(core, head, &key, &found));
        }
    }
    if !pending.changes.is_empty() {
        core.backend.apply(&pending.changes).await?;
        core.figures.fills.add(pending.changes.len() as u64);
    }
    Ok(())
}
