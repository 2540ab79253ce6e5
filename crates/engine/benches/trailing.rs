//! What the tree costs those who append: the same load with nobody asking for proofs, and with a
//! thread that lets the tree catch up all the time, alternating on one machine (a real
//! directory). `CAIRN_ROUNDS` sets how many rounds; five by default.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cairn_engine::{Engine, NewEvent, TopicConfig};
use cairn_segment::LogConfig;
use cairn_types::Durability;

/// How long the tree waits between two looks.
const PAUSE: Duration = Duration::from_millis(10);

struct Load {
    name: &'static str,
    durability: Durability,
    threads: usize,
    batch: usize,
    batches: usize,
}

const LOADS: [Load; 3] = [
    Load {
        name: "synced, 1 thread",
        durability: Durability::Sync,
        threads: 1,
        batch: 1,
        batches: 4_000,
    },
    Load {
        name: "synced, 16 threads",
        durability: Durability::Sync,
        threads: 16,
        batch: 1,
        batches: 4_000,
    },
    Load {
        name: "buffered, batches of 1000",
        durability: Durability::Buffered,
        threads: 1,
        batch: 1000,
        batches: 2_000,
    },
];

/// Events a second, and how far the tree was behind at the end.
fn run(load: &Load, is_trailing: bool) -> (f64, u64) {
    let dir = tempfile::tempdir_in(".").expect("a directory on the disk");
    let config = LogConfig { durability: load.durability, ..LogConfig::default() };
    let engine = Engine::open_with(dir.path().join("data"), config).expect("opens");
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    let batch = vec![NewEvent::binary(vec![7; 100]); load.batch];
    let stop = AtomicBool::new(false);
    let (mut seconds, mut behind) = (0.0, 0);
    std::thread::scope(|scope| {
        if is_trailing {
            scope.spawn(|| {
                let proofs = engine.proofs().expect("opens");
                while !stop.load(Ordering::Relaxed) {
                    proofs.catch_up().expect("catches up");
                    std::thread::sleep(PAUSE);
                }
            });
        }
        let begun = Instant::now();
        std::thread::scope(|writers| {
            for _ in 0..load.threads {
                writers.spawn(|| {
                    for _ in 0..load.batches {
                        engine.append_batch("t", &batch).expect("appends");
                    }
                });
            }
        });
        seconds = begun.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
    });
    if is_trailing {
        let size = engine.proofs().and_then(|proofs| proofs.head()).expect("a head").size;
        behind = engine.log().visible_end().get() - size;
    }
    ((load.threads * load.batches * load.batch) as f64 / seconds, behind)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() {
    let rounds = std::env::var("CAIRN_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: usize = rounds.unwrap_or(5);
    for load in &LOADS {
        let (mut off, mut on, mut far) = (Vec::new(), Vec::new(), 0);
        for round in 0..rounds {
            // Neither is always the first.
            for is_trailing in [round % 2 == 0, round % 2 != 0] {
                let (rate, behind) = run(load, is_trailing);
                far = far.max(behind);
                if is_trailing { on.push(rate) } else { off.push(rate) }
            }
        }
        let (off, on) = (median(off), median(on));
        let less = 100.0 * (1.0 - on / off);
        println!(
            "{}: off {off:.0}/s, trailing {on:.0}/s, {less:.1} % less, {far} records behind at most",
            load.name
        );
    }
}
