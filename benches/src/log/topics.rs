//! Cairn's topics: events with ids, times, headers and partitions over the log.

use super::{Base, Mode, OpenLog, Peer, cairn};
use crate::payload::Checker;
use anyhow::{Context, Result};
use bytes::Bytes;
use cairn_engine::{Engine, NewEvent, TopicConfig};
use std::path::Path;

const TOPIC: &str = "t";

struct Topics {
    engine: Engine,
    /// Makes the tree follow the log, where it does.
    #[cfg(feature = "kv")]
    tree: Option<crate::kv::cairn::Trailing>,
}

/// Topics as event engines are compared with.
pub fn peer() -> Peer {
    Peer {
        name: "cairn-engine",
        buffered: Ok("written to the OS, never synced meanwhile; ids, chain and CRC"),
        durable: Ok("fdatasync before each acknowledgement, shared by threads; ids, chain and CRC"),
        read: "events decoded; CRC of a batch checked at its first read",
        base: Base::Topics,
        bar: None,
        open,
    }
}

/// What topics cost beyond the log.
pub fn beside_the_log() -> Peer {
    Peer { base: Base::Log, ..peer() }
}

/// With a tree of proofs that follows the log all the time.
#[cfg(feature = "kv")]
pub fn with_tree() -> Peer {
    Peer {
        name: "cairn-engine with tree",
        buffered: Ok("written to the OS, never synced meanwhile; ids, chain, CRC, tree following"),
        durable: Ok("fdatasync before each acknowledgement, shared by threads; ids, chain, CRC, \
             tree following"),
        base: Base::Tree,
        open: open_with_tree,
        ..peer()
    }
}

#[cfg(feature = "kv")]
fn open_with_tree(dir: &Path, mode: Mode) -> Result<Box<dyn OpenLog>> {
    let engine = engine(dir, mode)?;
    let tree = Some(crate::kv::cairn::Trailing::begin(&engine));
    Ok(Box::new(Topics { engine, tree }))
}

fn open(dir: &Path, mode: Mode) -> Result<Box<dyn OpenLog>> {
    Ok(Box::new(Topics {
        engine: engine(dir, mode)?,
        #[cfg(feature = "kv")]
        tree: None,
    }))
}

fn engine(dir: &Path, mode: Mode) -> Result<Engine> {
    let engine = Engine::open_with(dir, cairn::config(mode))?;
    engine.create_topic(TOPIC, TopicConfig::default())?;
    Ok(engine)
}

fn event(payload: &[u8]) -> NewEvent {
    NewEvent::binary(Bytes::copy_from_slice(payload))
}

impl OpenLog for Topics {
    fn append_one(&self, _thread: usize, payload: &[u8]) -> Result<()> {
        self.engine.append(TOPIC, event(payload))?;
        Ok(())
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        let events: Vec<NewEvent> = payloads.iter().map(|payload| event(payload)).collect();
        self.engine.append_batch(TOPIC, &events)?;
        Ok(())
    }

    fn read(&self, index: u64, count: u64, _len: usize, checker: &mut Checker) -> Result<()> {
        let events = self.engine.events(TOPIC, 0, index)?;
        for event in events.take(usize::try_from(count)?) {
            checker.take(event?.data.as_bytes());
        }
        Ok(())
    }

    fn read_verified(&self, index: u64, _len: usize, checker: &mut Checker) -> Result<()> {
        let event = self.engine.event(TOPIC, 0, index)?;
        let verified = self.engine.log().read_verified(event.lsn)?;
        verified.record.payload.context("its payload is gone")?;
        checker.take(event.data.as_bytes());
        Ok(())
    }

    #[cfg(feature = "kv")]
    fn settle(&self) -> Result<()> {
        if self.tree.is_some() {
            self.engine.log().sync()?;
            self.engine.proofs()?.catch_up()?;
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        #[cfg(feature = "kv")]
        self.tree.map_or(Ok(()), crate::kv::cairn::Trailing::end)?;
        Ok(self.engine.close()?)
    }
}
