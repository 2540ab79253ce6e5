//! Simulated crashes. `CAIRN_CRASHES` sets how many; every failure prints its seed.

use cairn_segment::mutation::Mutation;
use cairn_tests::{Life, LifeConfig, Tally};
use cairn_types::Durability;
use cairn_vfs::SimConfig;

const CRASHES_A_LIFE: u32 = 10;

fn lives() -> u64 {
    let crashes = std::env::var("CAIRN_CRASHES").ok().and_then(|text| text.parse().ok());
    crashes.unwrap_or(100_000_u64) / u64::from(CRASHES_A_LIFE) / 3
}

fn config(seed: u64) -> LifeConfig {
    LifeConfig {
        seed,
        crashes: CRASHES_A_LIFE,
        durability: Durability::Sync,
        faults: SimConfig::default(),
        mutation: None,
    }
}

#[test]
fn acknowledged_writes_survive_power_loss() {
    let mut tally = Tally::default();
    for seed in 0..lives() {
        Life::new(config(seed)).run(&mut tally).expect("every promise is kept");
    }
    println!("{tally:?}");
    assert!(tally.cuts > 0 && tally.copies > 0 && tally.recovery_crashes > 0, "{tally:?}");
    assert!(tally.cleaned > 0 && tally.cleaning_crashes > 0, "{tally:?}");
}

#[test]
fn buffered_writes_are_lost_only_from_the_end() {
    let mut tally = Tally::default();
    for seed in 1_000_000..1_000_000 + lives() {
        let config = LifeConfig { durability: Durability::Buffered, ..config(seed) };
        Life::new(config).run(&mut tally).expect("every promise is kept");
    }
    println!("{tally:?}");
    assert!(tally.cuts > 0 && tally.copies > 0, "{tally:?}");
}

#[test]
fn failing_writes_syncs_and_full_disks_lose_nothing_that_was_acknowledged() {
    let mut tally = Tally::default();
    let faults = SimConfig {
        write_error: 400,
        sync_error: 400,
        no_space: 1500,
        short_write: 200,
        ..SimConfig::default()
    };
    for seed in 2_000_000..2_000_000 + lives() {
        Life::new(LifeConfig { faults, ..config(seed) })
            .run(&mut tally)
            .expect("every promise is kept");
    }
    println!("{tally:?}");
    assert!(tally.poisoned > 0 && tally.full > 0, "{tally:?}");
}

#[test]
fn every_planted_bug_is_caught() {
    let sync_faults = SimConfig { sync_error: 3000, ..SimConfig::default() };
    for (mutation, faults) in [
        (Mutation::AckBeforeSync, SimConfig::default()),
        (Mutation::NoDirectorySync, SimConfig::default()),
        (Mutation::RetryAfterFailedSync, sync_faults),
        (Mutation::TrustPageCache, sync_faults),
        (Mutation::NoSyncBeforeRoll, SimConfig::default()),
    ] {
        let control = LifeConfig { faults, ..config(0) };
        for seed in 0..100 {
            Life::new(LifeConfig { seed, ..control })
                .run(&mut Tally::default())
                .expect("without the bug the same lives are good");
        }
        let caught = (0..3000).find(|seed| {
            let config = LifeConfig { mutation: Some(mutation), faults, ..config(*seed) };
            let buffered = LifeConfig { durability: Durability::Buffered, ..config };
            Life::new(config).run(&mut Tally::default()).is_err()
                || Life::new(buffered).run(&mut Tally::default()).is_err()
        });
        let caught = caught.unwrap_or_else(|| panic!("{mutation:?} was not caught"));
        println!("{mutation:?} caught by life {caught}");
    }
}
