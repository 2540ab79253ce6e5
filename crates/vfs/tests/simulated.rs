//! What the faulty disk promises: synced is safe, the rest is not, and it repeats itself.

use cairn_vfs::*;

fn fill(disk: &SimVfs, path: &str, byte: u8, sync: bool) -> Result<()> {
    let file = disk.open(path, OpenMode::CreateOrOpen)?;
    file.write_all_at(0, &[byte; 5000])?;
    if sync { file.sync_all() } else { Ok(()) }
}

fn content(disk: &SimVfs, path: &str) -> Option<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().ok()?).ok()?];
    file.read_exact_at(0, &mut bytes).ok()?;
    Some(bytes)
}

#[test]
fn synced_data_and_names_survive_every_power_cut() {
    for seed in 0..500 {
        let disk = SimVfs::new(seed, SimConfig::default());
        fill(&disk, "a", 1, true).expect("writes");
        disk.sync_dir("").expect("syncs");
        fill(&disk, "b", 2, true).expect("writes");
        disk.power_crash();
        assert_eq!(content(&disk, "a"), Some(vec![1; 5000]), "seed {seed}");
    }
}

#[test]
fn everything_unsynced_can_be_lost_kept_or_spoilt() {
    let mut outcomes = std::collections::BTreeSet::new();
    let mut stats = SimStats::default();
    for seed in 0..500 {
        let disk = SimVfs::new(seed, SimConfig::default());
        fill(&disk, "a", 1, true).expect("writes");
        disk.sync_dir("").expect("syncs");
        fill(&disk, "a", 2, false).expect("writes");
        fill(&disk, "new", 3, true).expect("writes");
        disk.power_crash();
        let a = content(&disk, "a").expect("its name is durable");
        outcomes.insert((a == [1; 5000], a == [2; 5000], disk.exists("new").expect("looks")));
        let seen = disk.stats();
        stats.sectors_garbled += seen.sectors_garbled;
        stats.sectors_zeroed += seen.sectors_zeroed;
        stats.names_undone += seen.names_undone;
    }
    assert!(outcomes.len() >= 6, "all mixtures occur: {outcomes:?}");
    assert!(stats.sectors_garbled > 0 && stats.sectors_zeroed > 0 && stats.names_undone > 0);
}

#[test]
fn what_was_cut_off_does_not_come_back_behind_a_sync() {
    for seed in 0..100 {
        let disk = SimVfs::new(seed, SimConfig::default());
        fill(&disk, "a", 1, true).expect("writes");
        disk.sync_dir("").expect("syncs");
        let file = disk.open("a", OpenMode::ReadWrite).expect("opens");
        file.set_len(700).expect("cuts");
        match seed % 3 {
            0 => file.write_all_at(2999, b"\0").expect("writes"),
            1 => file.allocate(0, 3000).expect("reserves"),
            _ => file.set_len(3000).expect("extends"),
        }
        file.sync_data().expect("syncs");
        disk.power_crash();
        let expected = [vec![1; 700], vec![0; 2300]].concat();
        assert_eq!(content(&disk, "a"), Some(expected), "seed {seed}");
    }
}

#[test]
fn a_process_crash_keeps_the_cache_and_kills_the_handles() {
    let disk = SimVfs::new(3, SimConfig::default());
    let file = disk.open("a", OpenMode::Create).expect("creates");
    let _lock = disk.lock("LOCK").expect("locks");
    file.write_all_at(0, b"x").expect("writes");
    disk.process_crash();
    assert_eq!(file.len().expect_err("dead").kind, FaultKind::Crashed);
    assert_eq!(content(&disk, "a"), Some(b"x".to_vec()));
    disk.lock("LOCK").expect("the lock died with its owner");
}

#[test]
fn a_failed_sync_forgets_what_it_should_have_written() {
    let disk = SimVfs::new(4, SimConfig::default());
    fill(&disk, "a", 1, true).expect("writes");
    disk.sync_dir("").expect("syncs");
    disk.set_config(SimConfig { sync_error: u16::MAX, ..SimConfig::default() });
    let file = disk.open("a", OpenMode::ReadWrite).expect("opens");
    file.write_all_at(0, &[2; 5000]).expect("writes");
    let mut failures = 0;
    while file.sync_all().is_err() {
        failures += 1;
        disk.set_config(SimConfig::default());
    }
    assert_eq!(failures, 1, "the retry lies: it reports success");
    disk.power_crash();
    assert_eq!(content(&disk, "a"), Some(vec![1; 5000]));
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let run = |seed| {
        let config = SimConfig { write_error: 6000, sync_error: 6000, ..SimConfig::default() };
        let disk = SimVfs::new(seed, config);
        let mut trace = Vec::new();
        for step in 0..50_u8 {
            trace.push(fill(&disk, "a", step, step % 3 == 0).is_ok());
            if step % 7 == 0 {
                disk.power_crash();
            }
        }
        (trace, content(&disk, "a"), disk.stats())
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11), run(12));
}

#[test]
fn every_fault_kind_can_be_switched_on() {
    let often = 8000;
    let config = SimConfig {
        latency_us_max: 0,
        read_error: often,
        write_error: often,
        sync_error: often,
        no_space: often,
        short_write: often,
        read_flip: often,
        misdirected: often,
        phantom: often,
        stale_read: often,
        capacity: 0,
    };
    let disk = SimVfs::new(5, config);
    for step in 0..400_u16 {
        let _ = fill(&disk, "a", step.to_le_bytes()[0], step % 2 == 0);
        if let Ok(file) = disk.open("a", OpenMode::ReadWrite) {
            let _ = file.write_all_at(u64::from(step) * 40, &[1; 100]);
        }
        let _ = content(&disk, "a");
        if step % 9 == 0 {
            disk.power_crash();
        }
    }
    let s = disk.stats();
    for (name, count) in [
        ("read error", s.read_errors),
        ("write error", s.write_errors),
        ("sync error", s.sync_errors),
        ("no space", s.no_space),
        ("short write", s.short_writes),
        ("read flip", s.read_flips),
        ("misdirected", s.misdirected),
        ("phantom", s.phantoms),
        ("stale read", s.stale_reads),
        ("kept", s.sectors_kept),
        ("lost", s.sectors_lost),
        ("length undone", s.lengths_undone),
    ] {
        assert!(count > 0, "{name} never happened");
    }
}

#[test]
fn an_armed_crash_stops_everything_until_the_restart() {
    let disk = SimVfs::new(6, SimConfig::default());
    disk.crash_after(2);
    let file = disk.open("a", OpenMode::Create).expect("the first operation");
    assert_eq!(file.write_all_at(0, b"x").expect_err("down").kind, FaultKind::Crashed);
    assert!(disk.is_down());
    assert!(disk.exists("a").is_err());
    disk.power_crash();
    assert!(disk.exists("a").is_ok());
}

#[test]
fn the_countdown_reaches_every_operation_once() {
    let mut fail_at = 1;
    loop {
        let inner = std::sync::Arc::new(MemVfs::new());
        let vfs = CountdownVfs::new(inner, fail_at, Failure::Once(FaultKind::Io));
        let outcome = (|| {
            let file = vfs.open("a", OpenMode::Create)?;
            file.write_all_at(0, b"x")?;
            file.sync_all()?;
            vfs.rename("a", "b")
        })();
        assert_eq!(outcome.is_err(), vfs.fired());
        if !vfs.fired() {
            break;
        }
        fail_at += 1;
    }
    assert_eq!(fail_at, 5, "four operations, four failures");
}
