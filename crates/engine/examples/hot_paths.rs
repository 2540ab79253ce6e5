//! One hot path at a time, so often as it is told: `hot_paths NAME COUNT`, or the names without
//! arguments. Whoever counts the instructions of two counts and takes the difference has the
//! instructions of a path, without what comes before it; `cargo xtask instructions` does.

use std::error::Error;
use std::ops::ControlFlow;
use std::sync::Arc;

use cairn_engine::{Engine, NewEvent, TopicConfig};
use cairn_mvcc::{Options, Put, Range, Store, TreeOptions};
use cairn_segment::{Log, LogConfig, LogOptions};
use cairn_types::{Durability, StreamId};
use cairn_vfs::{SeededRng, StdVfs};

type Done = Result<(), Box<dyn Error>>;
type Path = fn(&std::path::Path, u64) -> Done;

const SPACE: StreamId = StreamId::new(7);
const KEYS: u64 = 4000;

const PATHS: [(&str, Path); 11] = [
    ("append", append),
    ("append-100", append_100),
    ("read-event", read_event),
    ("put-new", put_new),
    ("put-again", put_again),
    ("get-memory", get_memory),
    ("get-place", get_place),
    ("get-table", get_table),
    ("get-miss", get_miss),
    ("range-100", range_100),
    ("visit-100", visit_100),
];

fn main() -> Done {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        PATHS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let count = arguments.next().ok_or("how often?")?.parse()?;
    let path = PATHS.iter().find(|(known, _)| *known == name).ok_or("no such path")?.1;
    let dir = tempfile::tempdir()?;
    path(dir.path(), count)
}

/// Everything the same in each run, and nobody in the background.
fn log(dir: &std::path::Path) -> Result<LogOptions, Box<dyn Error>> {
    let (durability, background) = (Durability::Buffered, false);
    let config = LogConfig { durability, background, ..LogConfig::default() };
    let rng = Arc::new(SeededRng::new(1));
    Ok(Log::options().vfs(Arc::new(StdVfs::create(dir)?)).rng(rng).config(config))
}

fn events(dir: &std::path::Path) -> Result<Engine, Box<dyn Error>> {
    let engine = Engine::options().log(log(dir)?).open()?;
    engine.create_topic("t", TopicConfig::default())?;
    Ok(engine)
}

fn event() -> NewEvent {
    NewEvent::binary(vec![7; 100])
}

fn append(dir: &std::path::Path, count: u64) -> Done {
    let engine = events(dir)?;
    for _ in 0..count {
        engine.append("t", event())?;
    }
    Ok(())
}

fn append_100(dir: &std::path::Path, count: u64) -> Done {
    let engine = events(dir)?;
    for _ in 0..count.div_ceil(100) {
        engine.append_batch("t", &vec![event(); 100])?;
    }
    Ok(())
}

fn read_event(dir: &std::path::Path, count: u64) -> Done {
    let engine = events(dir)?;
    for _ in 0..KEYS / 100 {
        engine.append_batch("t", &vec![event(); 100])?;
    }
    let mut read = 0;
    while read < count {
        for event in engine.events("t", 0, 0)?.take((count - read) as usize) {
            assert_eq!(event?.data.as_bytes().len(), 100);
            read += 1;
        }
    }
    Ok(())
}

fn key(number: u64) -> Vec<u8> {
    let hash = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [hash.to_be_bytes(), hash.rotate_left(29).to_be_bytes()].concat()
}

/// Keys that all fit memory, or of which none is in memory.
fn keys(dir: &std::path::Path, in_memory: bool, hot_len: usize) -> Result<Store, Box<dyn Error>> {
    let memory_len = if in_memory { 40 << 20 } else { 0 };
    let tree = TreeOptions { memory_len, hot_len, ..TreeOptions::default() };
    let store = Store::open_with(log(dir)?.open()?, Options { tree, ..Options::default() })?;
    for batch in 0..KEYS / 100 {
        let puts = (batch * 100..(batch + 1) * 100).map(|n| Put::new(SPACE, key(n), vec![7; 100]));
        store.put_all(puts.collect())?;
    }
    if !in_memory {
        store.flush()?;
        // Some writes: each lets some keys go that the table has.
        for n in 0..KEYS {
            store.put(Put::new(SPACE, key(n % 10), vec![7; 100]))?;
        }
        store.flush()?;
        while store.maintain_some(100_000)? {}
    }
    Ok(store)
}

fn put_new(dir: &std::path::Path, count: u64) -> Done {
    let store = keys(dir, true, 0)?;
    for n in 0..count {
        store.put(Put::new(SPACE, key(KEYS + n), vec![7; 100]))?;
    }
    Ok(())
}

fn put_again(dir: &std::path::Path, count: u64) -> Done {
    let store = keys(dir, true, 0)?;
    for n in 0..count {
        store.put(Put::new(SPACE, key(n % KEYS), vec![7; 100]))?;
    }
    Ok(())
}

fn gets(store: &Store, count: u64, first: u64) -> Done {
    for n in 0..count {
        // Keys far from the next one asked for, none of them twice in a row.
        let found = store.value(SPACE, &key(first + 100 + n * 7 % (KEYS - 100)))?;
        assert_eq!(found.is_some(), first == 0);
    }
    Ok(())
}

fn get_memory(dir: &std::path::Path, count: u64) -> Done {
    gets(&keys(dir, true, 0)?, count, 0)
}

fn get_place(dir: &std::path::Path, count: u64) -> Done {
    gets(&keys(dir, false, 1 << 20)?, count, 0)
}

fn get_table(dir: &std::path::Path, count: u64) -> Done {
    gets(&keys(dir, false, 0)?, count, 0)
}

fn get_miss(dir: &std::path::Path, count: u64) -> Done {
    gets(&keys(dir, false, 0)?, count, KEYS)
}

fn range_100(dir: &std::path::Path, count: u64) -> Done {
    let store = keys(dir, false, 0)?;
    for n in 0..count.div_ceil(100) {
        let range = Range::from_key(key(n * 31 % (KEYS / 2)));
        let found = store.scan(SPACE, range, 0)?.take(100).map(|found| Ok(found?.value.len()));
        let len: usize = found.sum::<cairn_mvcc::Result<usize>>()?;
        assert!(len > 0);
    }
    Ok(())
}

fn visit_100(dir: &std::path::Path, count: u64) -> Done {
    let store = keys(dir, false, 0)?;
    for n in 0..count.div_ceil(100) {
        let range = Range::from_key(key(n * 31 % (KEYS / 2)));
        let (mut found, mut len) = (0, 0);
        let _ = store.visit(SPACE, &range, 0, |kv| {
            len += kv.value.len();
            found += 1;
            if found == 100 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        assert!(len > 0);
    }
    Ok(())
}
