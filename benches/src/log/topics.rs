//! Cairn's topics: events with ids, times, headers and partitions over the log.

use super::{Base, Mode, OpenLog, Peer, cairn};
use crate::payload::Checker;
use anyhow::{Context, Result};
use bytes::Bytes;
use cairn_engine::{Engine, NewEvent, TopicConfig};
use std::path::Path;

const TOPIC: &str = "t";

struct Topics(Engine);

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

fn open(dir: &Path, mode: Mode) -> Result<Box<dyn OpenLog>> {
    let engine = Engine::open_with(dir, cairn::config(mode))?;
    engine.create_topic(TOPIC, TopicConfig::default())?;
    Ok(Box::new(Topics(engine)))
}

fn event(payload: &[u8]) -> NewEvent {
    NewEvent::binary(Bytes::copy_from_slice(payload))
}

impl OpenLog for Topics {
    fn append_one(&self, _thread: usize, payload: &[u8]) -> Result<()> {
        self.0.append(TOPIC, event(payload))?;
        Ok(())
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        let events: Vec<NewEvent> = payloads.iter().map(|payload| event(payload)).collect();
        self.0.append_batch(TOPIC, &events)?;
        Ok(())
    }

    fn read(&self, index: u64, count: u64, _len: usize, checker: &mut Checker) -> Result<()> {
        let events = self.0.events(TOPIC, 0, index)?;
        for event in events.take(usize::try_from(count)?) {
            checker.take(event?.data.as_bytes());
        }
        Ok(())
    }

    fn read_verified(&self, index: u64, _len: usize, checker: &mut Checker) -> Result<()> {
        let event = self.0.event(TOPIC, 0, index)?;
        let verified = self.0.log().read_verified(event.lsn)?;
        verified.record.payload.context("its payload is gone")?;
        checker.take(event.data.as_bytes());
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.0.close()?)
    }
}
