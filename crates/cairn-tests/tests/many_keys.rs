//! Many more keys than memory holds, a process that is killed while it loads them, and a reopen
//! that is compared with the source. `CAIRN_KEYS` sets how many keys.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::mount::Mount;
use cairn_mvcc::{Options, Put, Range, Store, TreeOptions};
use cairn_segment::{Log, LogConfig};
use cairn_tests::soaking::seeds;
use cairn_types::{Durability, StreamId};
use cairn_vfs::{SeededRng, StdVfs};

const SPACE: StreamId = StreamId::new(9);
const DIR: &str = "CAIRN_MANY_KEYS_DIR";
const COUNT: &str = "CAIRN_MANY_KEYS_COUNT";
const SYNC: &str = "CAIRN_MANY_KEYS_SYNC";
const BATCH: u64 = 500;

fn open(dir: &std::path::Path, durability: Durability) -> Store {
    let config = LogConfig { durability, segment_size: 16 << 20, ..LogConfig::default() };
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
    let is_sync = std::env::var(SYNC).is_ok_and(|text| text == "1");
    let store = open(dir.as_ref(), if is_sync { Durability::Sync } else { Durability::Buffered });
    let mut next = (store.revision() - 1) * BATCH;
    while next < count {
        let puts: Vec<Put> =
            (next..next + BATCH).map(|n| Put::new(SPACE, key(n).to_vec(), value(n))).collect();
        store.put_all(puts).expect("puts");
        next += BATCH;
        println!("\nacknowledged {next}");
    }
}

/// Runs the process until it has acknowledged so many and is stopped, or has ended; how many it had.
fn load(
    dir: &std::path::Path,
    count: u64,
    stop_at: u64,
    durability: Durability,
    stop: impl FnOnce(&mut Child),
) -> u64 {
    let mut stop = Some(stop);
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "many_keys::loads_keys_when_told_to", "--nocapture"])
        .env(DIR, dir)
        .env(COUNT, count.to_string())
        .env(SYNC, u8::from(durability == Durability::Sync).to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut acknowledged = 0;
    for line in lines.map_while(Result::ok) {
        // After a kill what was printed before it still comes; after a power cut see `Cutter`.
        if stop.is_none() && durability == Durability::Sync {
            continue;
        }
        if let Some(number) = line.strip_prefix("acknowledged ") {
            acknowledged = number.parse().expect("a number");
            if let Some(stop) = stop.take_if(|_| acknowledged >= stop_at) {
                stop(&mut child);
            }
        }
    }
    child.wait().expect("ends");
    acknowledged
}

/// How many keys; a test run has no time for ten millions of them.
fn wanted() -> u64 {
    let wanted = std::env::var("CAIRN_KEYS").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or(120_000_u64).next_multiple_of(BATCH)
}

/// Every key as it was made of its number, as many as were acknowledged, and the tables well.
fn judge(path: &std::path::Path, acknowledged: u64) {
    let begun = std::time::Instant::now();
    let store = open(path, Durability::Buffered);
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

#[test]
fn soak_keys_beyond_memory_survive_kill_9_and_are_those_of_the_source() {
    let count = wanted();
    let (mut killed, mut keys) = (0_u64, 0_u64);
    for seed in seeds(0..1) {
        println!("seed {seed}");
        let rng = SeededRng::new(seed);
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("store");
        let kills = 3 + rng.below(8);
        for round in 1..=kills + 1 {
            let at = count * round / (kills + 1) - rng.below(count / (kills + 2));
            let kill_at = if round > kills { u64::MAX } else { at };
            // Acknowledged is what survives the process: the machine goes on.
            let acknowledged = load(&path, count, kill_at, Durability::Buffered, |child| {
                child.kill().expect("kills");
            });
            judge(&path, acknowledged);
            killed += u64::from(round <= kills);
        }
        let store = open(&path, Durability::Buffered);
        assert_eq!(store.key_count(SPACE).expect("counts"), count);
        keys += count;
    }
    println!("total: kills={killed} keys={keys} violations=0");
}

/// `CAIRN_POWER_CUTS` sets how many, each while keys are loaded and tables written.
#[test]
fn acknowledged_keys_survive_power_cuts_on_a_real_file_system() {
    let cuts = std::env::var("CAIRN_POWER_CUTS").ok().and_then(|text| text.parse().ok());
    let count = 40_000;
    let dir = tempfile::tempdir().expect("a directory");
    let (image, mount) = (dir.path().join("disk.img"), dir.path().join("mnt"));
    let mut mounted = match Mount::new_ext4(&image, "256M", &mount) {
        Ok(mounted) => mounted,
        Err(why) => {
            println!("skipped: no ext4 on a loop device here: {why}");
            return;
        }
    };
    let path = mount.join("store");
    let (mut done, mut certain, mut promised) = (0_u64, 0, 0);
    for seed in seeds(0..cuts.unwrap_or(10)) {
        println!("seed {seed}");
        let rng = SeededRng::new(seed);
        let stop_at = count.min(certain + BATCH * (1 + rng.below(12)));
        let cutter = mounted.cutter().expect("is ready");
        let acknowledged = load(&path, count, stop_at, Durability::Sync, |child| {
            // A little later, at any step of the next batches.
            std::thread::sleep(std::time::Duration::from_micros(rng.below(3000)));
            cutter.cut().expect("the kernel cuts the power");
            child.kill().expect("kills");
        });
        drop(mounted);
        mounted = Mount::ext4(&image, &mount).expect("mounts again");
        judge(&path, acknowledged.max(certain));
        let store = open(&path, Durability::Sync);
        promised += acknowledged.saturating_sub(certain);
        certain = store.key_count(SPACE).expect("counts");
        drop(store);
        done += 1;
        if certain == count {
            std::fs::remove_dir_all(&path).expect("removes");
            certain = 0;
        }
    }
    println!("total: power_cuts={done} keys_acknowledged={promised} violations=0");
}
