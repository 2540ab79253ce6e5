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
        canary: false,
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
        no_space: 6000,
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
fn the_canary_dies() {
    let outcome = Life::new(LifeConfig { canary: true, ..config(0) }).run(&mut Tally::default());
    assert!(outcome.is_err(), "a judge who asks for too much must be refused");
}

#[test]
fn every_kind_of_fault_and_every_branch_of_recovery_was_met() {
    let faults = SimConfig {
        write_error: 400,
        sync_error: 400,
        no_space: 1500,
        short_write: 200,
        read_error: 50,
        latency_us_max: 500,
        ..SimConfig::default()
    };
    let mut tally = Tally::default();
    let mut marks: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for seed in 3_000_000..3_000_300 {
        let life = Life::new(LifeConfig { faults, ..config(seed) });
        let disk = life.disk().clone();
        disk.set_clock(std::sync::Arc::new(cairn_vfs::ManualClock::default()));
        life.run(&mut tally).expect("every promise is kept");
        let s = disk.stats();
        for (mark, count) in [
            ("read error", s.read_errors),
            ("write error", s.write_errors),
            ("sync error", s.sync_errors),
            ("no space", s.no_space),
            ("short write", s.short_writes),
            ("power cut", s.power_crashes),
            ("process crash", s.process_crashes),
            ("sector kept", s.sectors_kept),
            ("sector lost", s.sectors_lost),
            ("sector zeroed", s.sectors_zeroed),
            ("sector garbled", s.sectors_garbled),
            ("torn at 512 bytes", s.torn_at_512),
            ("torn at 4 KiB", s.torn_at_4k),
            ("delayed operation", s.delayed),
            ("name undone", s.names_undone),
            ("length undone", s.lengths_undone),
        ] {
            *marks.entry(mark).or_default() += count;
        }
    }
    for (mark, count) in [
        ("recovery cut a tail", tally.cuts),
        ("recovery copied a tail", tally.copies),
        ("recovery was interrupted", tally.recovery_crashes),
        ("log stopped", tally.poisoned),
        ("append refused", tally.full),
        ("segment cleaned", tally.cleaned),
        ("cleaning interrupted", tally.cleaning_crashes),
    ] {
        marks.insert(mark, count);
    }
    println!("{marks:?}");
    let missed: Vec<_> = marks.iter().filter(|(_, count)| **count == 0).collect();
    assert!(missed.is_empty(), "never met: {missed:?}");
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
