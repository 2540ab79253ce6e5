//! kawa-storage: an asynchronous event engine over mapped segments of 1 GiB.

use super::{Base, Mode, OpenLog, Peer};
use crate::payload::Checker;
use anyhow::Result;
use kawa_storage::{EventData, Offset, Partition, StorageConfig, StorageEngine, Topic};
use std::path::Path;
use tokio::runtime::Runtime;

/// Its setting `batch_size` is the length in bytes of the buffer that a batch must fit into:
/// with the default, 1000, no batch of more than six of these records can be appended.
const BATCH_BUFFER_LEN: usize = 1 << 20;

struct Kawa {
    runtime: Runtime,
    engine: StorageEngine,
    topic: Topic,
    durable: bool,
}

pub fn peer() -> Peer {
    Peer {
        name: "kawa-storage",
        buffered: Ok("in a shared mapping, never synced; ids and CRC"),
        durable: Ok("msync of the whole segment by a call after each append"),
        read: "every event of the segment decoded and its CRC checked",
        base: Base::Topics,
        bar: Some(3.0),
        open,
    }
}

fn open(dir: &Path, mode: Mode) -> Result<Box<dyn OpenLog>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let config = StorageConfig {
        data_dir: dir.to_path_buf(),
        batch_size: BATCH_BUFFER_LEN,
        ..StorageConfig::default()
    };
    let engine = runtime.block_on(StorageEngine::new(config))?;
    Ok(Box::new(Kawa { runtime, engine, topic: Topic::new("t"), durable: mode == Mode::Durable }))
}

impl Kawa {
    fn acknowledge(&self) -> Result<()> {
        if self.durable { self.sync() } else { Ok(()) }
    }

    /// Its only call that syncs is named for the end, but leaves the engine open.
    fn sync(&self) -> Result<()> {
        Ok(self.runtime.block_on(self.engine.shutdown())?)
    }
}

impl OpenLog for Kawa {
    fn append_one(&self, _thread: usize, payload: &[u8]) -> Result<()> {
        let data = EventData::new(payload.to_vec());
        self.runtime.block_on(self.engine.append_event(&self.topic, Partition(0), data))?;
        self.acknowledge()
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        let event =
            |payload: &Vec<u8>| (self.topic.clone(), Partition(0), EventData::new(payload.clone()));
        let events = payloads.iter().map(event).collect();
        self.runtime.block_on(self.engine.append_events_batch(events))?;
        self.acknowledge()
    }

    fn read(&self, index: u64, count: u64, _len: usize, checker: &mut Checker) -> Result<()> {
        let count = usize::try_from(count)?;
        let read = self.engine.read_events(&self.topic, Partition(0), Offset(index), count);
        for event in self.runtime.block_on(read)? {
            checker.take(&event.data);
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.sync()
    }
}
