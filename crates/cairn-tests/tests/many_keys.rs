//! Many more keys than memory holds, a process that is killed while it loads them, and a reopen
//! that is compared with the source. In CI some hundred thousand, in a soak ten million.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use cairn_mvcc::{Options, Put, Range, Store, TreeOptions};
use cairn_segment::{Log, LogConfig};
use cairn_types::{Durability, StreamId};
use cairn_vfs::StdVfs;

const SPACE: StreamId = StreamId::new(9);
const DIR: &str = "CAIRN_MANY_KEYS_DIR";
const COUNT: &str = "CAIRN_MANY_KEYS_COUNT";
const BATCH: u64 = 500;

fn open(dir: &std::path::Path) -> Store {
    // Acknowledged is what survives the process: the machine goes on.
    let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
    let vfs = Arc::new(StdVfs::create(dir).expect("a directory"));
    let log = Log::options().vfs(vfs).config(config).open().expect("opens");
    let tree = TreeOptions {
        memory_len: 4 << 20,
        flush_len: 1 << 20,
        table_len: 4 << 20,
        level_len: 8 << 20,
        ..TreeOptions::default()
    };
    Store::open_with(log, Options { tree, ..Options::default() }).expect("opens")
}

/// Keys in an order that looks random, each number once.
fn key(number: u64) -> [u8; 8] {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

fn value(number: u64) -> Vec<u8> {
    let len = usize::try_from(number % 150).expect("small");
    number.to_le_bytes().iter().copied().cycle().take(len).collect()
}

/// The process that is killed: goes on loading where the store ends, and tells how far it came.
#[test]
fn loads_keys_when_told_to() {
    let (Ok(dir), Ok(count)) = (std::env::var(DIR), std::env::var(COUNT)) else { return };
    let count: u64 = count.parse().expect("a number");
    let store = open(dir.as_ref());
    let mut next = (store.revision() - 1) * BATCH;
    while next < count {
        let puts: Vec<Put> =
            (next..next + BATCH).map(|n| Put::new(SPACE, key(n).to_vec(), value(n))).collect();
        store.put_all(puts).expect("puts");
        next += BATCH;
        println!("\nacknowledged {next}");
    }
}

/// Runs the process until it has acknowledged so many, or has ended; how many it had.
fn load(dir: &std::path::Path, count: u64, kill_at: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "many_keys::loads_keys_when_told_to", "--nocapture"])
        .env(DIR, dir)
        .env(COUNT, count.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut acknowledged = 0;
    for line in lines.map_while(Result::ok) {
        if let Some(number) = line.strip_prefix("acknowledged ") {
            acknowledged = number.parse().expect("a number");
            if acknowledged >= kill_at {
                child.kill().expect("kills");
            }
        }
    }
    child.wait().expect("ends");
    acknowledged
}

#[test]
fn soak_keys_beyond_memory_survive_kill_9_and_are_those_of_the_source() {
    let is_soak = std::env::var("CAIRN_SOAK_SECONDS").is_ok();
    let (count, kills) = if is_soak { (10_000_000, 5) } else { (120_000, 3) };
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store");
    for round in 1..=kills + 1 {
        let kill_at = if round > kills { u64::MAX } else { count * round / (kills + 1) };
        let acknowledged = load(&path, count, kill_at);
        let begun = std::time::Instant::now();
        let store = open(&path);
        let opened = begun.elapsed();
        let there = store.key_count(SPACE).expect("counts");
        assert!(there >= acknowledged && there.is_multiple_of(BATCH), "{there} of {acknowledged}");
        let mut found = 0;
        let mut last: Option<Vec<u8>> = None;
        for kv in store.scan(SPACE, Range::all(), 0).expect("scans") {
            let kv = kv.expect("reads");
            // The number that this key was made of: multiplied by the inverse of the factor.
            let made: [u8; 8] = kv.key[..].try_into().expect("eight bytes");
            let number = u64::from_be_bytes(made).wrapping_mul(0xf1de_83e1_9937_733d);
            assert!(number < there, "a key that nobody wrote");
            assert_eq!(kv.value, value(number), "key {number}");
            assert!(last.as_ref().is_none_or(|last| **last < *kv.key), "in order");
            last = Some(kv.key.to_vec());
            found += 1;
        }
        assert_eq!(found, there);
        store.verify_tables().expect("tables are well");
        let stats = store.tree_stats();
        println!("{there} keys: opened in {opened:?}, {stats:?}");
        assert!(stats.memory_len < 64 << 20, "within reach of the budget: {stats:?}");
    }
    let store = open(&path);
    assert_eq!(store.key_count(SPACE).expect("counts"), count);
}
