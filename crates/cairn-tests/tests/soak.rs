//! The long run: lives of the log with fresh seeds until the time is over, and random bytes to
//! every parser. `CAIRN_SOAK_SECONDS` sets how long (one round in an ordinary test run),
//! `CAIRN_SEED` the first seed; a failure prints the seed that repeats it.

use cairn_tests::fuzz::TARGETS;
use cairn_tests::soaking::seeds;
use cairn_tests::{Life, LifeConfig, Tally};
use cairn_types::Durability;
use cairn_vfs::{Rng, SeededRng, SimConfig};

#[test]
fn soak() {
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
    for seed in seeds(0..1) {
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
    }
    let Tally { crashes, recovery_crashes, acknowledged, .. } = tally;
    println!(
        "total: crashes={crashes} crashes_in_recovery={recovery_crashes} lives={lives} \
         batches_acknowledged={acknowledged} random_inputs={inputs} violations=0"
    );
}
