//! kawa-storage: an asynchronous engine over mapped segments.

use super::{Level, LogUnderTest, Peer};
use anyhow::Result;
use kawa_storage::{EventData, Offset, Partition, StorageConfig, StorageEngine, Topic};
use std::path::Path;
use tokio::runtime::Runtime;

struct Kawa {
    runtime: Runtime,
    engine: StorageEngine,
    topic: Topic,
    level: Level,
}

pub fn peer() -> Peer {
    Peer {
        name: "kawa-storage",
        buffered: Some("not synced"),
        durable: Some("its shutdown, the only call that syncs, after each append"),
        open,
    }
}

fn open(dir: &Path, level: Level) -> Result<Box<dyn LogUnderTest>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let config = StorageConfig { data_dir: dir.to_path_buf(), ..StorageConfig::default() };
    let engine = runtime.block_on(StorageEngine::new(config))?;
    Ok(Box::new(Kawa { runtime, engine, topic: Topic::new("t"), level }))
}

impl Kawa {
    fn acknowledge(&self) -> Result<()> {
        if self.level == Level::Durable { self.sync() } else { Ok(()) }
    }
}

impl LogUnderTest for Kawa {
    fn append_one(&self, payload: &[u8]) -> Result<()> {
        let data = EventData::new(payload.to_vec());
        self.runtime.block_on(self.engine.append_event(&self.topic, Partition(0), data))?;
        self.acknowledge()
    }

    fn append_batch(&self, payloads: &[Vec<u8>]) -> Result<()> {
        let event = |p: &Vec<u8>| (self.topic.clone(), Partition(0), EventData::new(p.clone()));
        let events = payloads.iter().map(event).collect();
        self.runtime.block_on(self.engine.append_events_batch(events))?;
        self.acknowledge()
    }

    /// Its batches fill a pooled buffer that is never emptied, so that they soon fail.
    fn fill(&self, payloads: &[Vec<u8>]) -> Result<()> {
        payloads.iter().try_for_each(|payload| self.append_one(payload))
    }

    fn sync(&self) -> Result<()> {
        Ok(self.runtime.block_on(self.engine.shutdown())?)
    }

    fn read_from(&self, index: u64, count_max: u64) -> Result<(u64, u64)> {
        let count_max = usize::try_from(count_max)?;
        let read = self.engine.read_events(&self.topic, Partition(0), Offset(index), count_max);
        let events = self.runtime.block_on(read)?;
        Ok((events.len() as u64, events.iter().map(|e| e.data.len() as u64).sum()))
    }
}
