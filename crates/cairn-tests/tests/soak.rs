//! The long run: lives with fresh seeds until the time is over. `CAIRN_SOAK_SECONDS` sets how
//! long (0, one round, in an ordinary test run); a failure prints the seed that repeats it.

use std::time::{Duration, Instant};

use cairn_tests::fuzz::TARGETS;
use cairn_tests::{Life, LifeConfig, Tally};
use cairn_types::Durability;
use cairn_vfs::{OsRng, Rng, SeededRng, SimConfig};

#[test]
fn soak() {
    let seconds = std::env::var("CAIRN_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    let mut base = [0; 8];
    OsRng.fill(&mut base);
    let base = u64::from_le_bytes(base);
    println!("seeds from {base}");
    let faults = SimConfig {
        write_error: 400,
        sync_error: 400,
        no_space: 6000,
        short_write: 200,
        read_error: 50,
        ..SimConfig::default()
    };
    let mut tally = Tally::default();
    let (mut lives, mut inputs) = (0_u64, 0_u64);
    loop {
        let seed = base.wrapping_add(lives);
        let config = LifeConfig {
            seed,
            crashes: 10,
            durability: if seed % 3 == 0 { Durability::Buffered } else { Durability::Sync },
            faults: if seed % 2 == 0 { faults } else { SimConfig::default() },
            mutation: None,
            canary: false,
        };
        Life::new(config).run(&mut tally).expect("every promise is kept");
        lives += 1;
        let rng = SeededRng::new(seed);
        let mut input = vec![0; usize::try_from(rng.below(500)).expect("small")];
        rng.fill(&mut input);
        for (name, target) in TARGETS {
            let outcome = std::panic::catch_unwind(|| target(&input));
            assert!(outcome.is_ok(), "{name} with seed {seed}: {input:02x?}");
            inputs += 1;
        }
        if Instant::now() >= end {
            break;
        }
    }
    let Tally { crashes, recovery_crashes, acknowledged, .. } = tally;
    println!(
        "soaked: {lives} lives, {crashes} crashes ({recovery_crashes} in recovery), {acknowledged} batches acknowledged, {inputs} inputs, 0 violations"
    );
}
