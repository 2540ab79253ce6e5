//! Erasing, shredding, cleaning and rotating keys in one store, with crashes at any step: every
//! value reads as it was written or is gone because somebody asked for it, and what is verified
//! and proven holds. `CAIRN_CRASHES` sets how many crashes; every failure prints its seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::erasure::holders;
use crate::soaking::{is_soak, seeds};
use cairn_auth::GivenKey;
use cairn_engine::*;
use cairn_merkle::log::{Tree, TreeHead, consistency};
use cairn_merkle::map::Question;
use cairn_segment::{Log, LogConfig, VerifyOptions};
use cairn_vfs::{ManualClock, MemVfs, SeededRng, SimConfig, SimVfs, Vfs};

const ALL: CleanKeys<'_> = CleanKeys { dead_share: 0.0, roll: true, progress: None };
const SPACES: [&str; 4] = ["ledger", "cache", "people", "scratch"];

fn key(seed: u8) -> GivenKey {
    let bytes: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(7).wrapping_add(seed)).collect();
    GivenKey::from_bytes(&bytes).expect("strong enough")
}

fn options(vfs: Arc<dyn Vfs>, seed: u64, is_sealed: bool) -> EngineOptions {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let (clock, rng) = (Arc::new(ManualClock::default()), Arc::new(SeededRng::new(seed)));
    let log = Log::options().vfs(vfs).clock(clock).rng(rng).config(config);
    let options = Engine::options().log(log);
    let keys: &[u8] = if is_sealed { &[3, 4] } else { &[] };
    let with =
        |options: EngineOptions, seed: &u8| options.encrypted_by(&key(*seed)).expect("a key");
    keys.iter().fold(options, with)
}

// --- a plain model ----------------------------------------------------------------------------

/// What may have become of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    There,
    /// Somebody asked for its end, and a crash came.
    Perhaps,
    /// Its end was acknowledged or seen.
    Gone,
}

/// A key's name with its keyspace.
type Name = (&'static str, String);

/// The value, by its number, of all keys that have one.
type Values = BTreeMap<Name, u32>;

#[derive(Default)]
struct Model {
    next: u32,
    fates: BTreeMap<u32, Fate>,
    /// Erased, not shredded: no file may hold them.
    erased: Vec<u32>,
    values: Values,
    /// All numbers that a key ever had.
    all: BTreeMap<Name, Vec<u32>>,
    /// A change of a key that a crash met: before or after it.
    in_flight: Option<(Name, Option<u32>)>,
    /// Numbers in the topic, by offset, and one that a crash met.
    events: Vec<u32>,
    event_in_flight: Option<u32>,
    /// Values at revisions.
    past: Vec<(u64, Values)>,
    dead_subjects: Vec<String>,
    heads: Vec<TreeHead>,
    done: BTreeMap<&'static str, u32>,
}

fn text(number: u32) -> String {
    format!("needle {number:06}!{}", "y".repeat(number as usize * 37 % 300))
}

fn number_of(bytes: &[u8]) -> u32 {
    let digits = bytes.get(7..13).and_then(|digits| std::str::from_utf8(digits).ok());
    let number = digits.and_then(|digits| digits.parse().ok()).expect("a number");
    assert_eq!(bytes, text(number).as_bytes());
    number
}

impl Model {
    fn new_value(&mut self) -> u32 {
        self.next += 1;
        self.fates.insert(self.next, Fate::There);
        self.next
    }

    fn mark(&mut self, numbers: &[u32], fate: Fate) {
        for number in numbers {
            let known = self.fates.get_mut(number).expect("made here");
            if *known != Fate::Gone {
                *known = fate;
            }
        }
    }

    /// Holds what was read of a value against what may be read.
    fn met(&mut self, number: u32, is_gone: bool, when: &str) {
        let fate = self.fates.get_mut(&number).expect("made here");
        assert!(!is_gone || *fate != Fate::There, "{when}: {number} is gone, nobody asked for it");
        assert!(is_gone || *fate != Fate::Gone, "{when}: {number} has come back");
        if is_gone {
            *fate = Fate::Gone;
        }
    }

    fn did(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }
}

// --- work -------------------------------------------------------------------------------------

fn make(engine: &Engine) -> Result<()> {
    engine.create_topic("t", TopicConfig::default())?;
    engine.create_keyspace("ledger")?;
    engine.create_keyspace_with("cache", KeyspaceRetention::LatestOnly)?;
    engine.create_keyspace_by_subject("people")?;
    engine.set_keyspace_retention("people", KeyspaceRetention::LatestOnly)?;
    engine.create_keyspace_with("scratch", KeyspaceRetention::LatestOnly)?;
    Ok(())
}

fn some_name(rng: &SeededRng, model: &Model) -> Option<Name> {
    let space = SPACES[rng.below(4) as usize];
    let number = rng.below(6);
    if space != "people" {
        return Some((space, format!("key{number}")));
    }
    let subject = format!("s{}", u64::from(model.next) / 40 + rng.below(2));
    (!model.dead_subjects.contains(&subject)).then(|| (space, format!("{subject}/{number}")))
}

fn change(engine: &Engine, rng: &SeededRng, model: &mut Model) -> Result<()> {
    let Some(name) = some_name(rng, model) else { return Ok(()) };
    let space = engine.keyspace(name.0)?;
    let number = (rng.below(5) > 0).then(|| model.new_value());
    model.in_flight = Some((name.clone(), number));
    match number {
        Some(number) => {
            model.all.entry(name.clone()).or_default().push(number);
            space.put(name.1.clone(), text(number))?;
            model.values.insert(name, number);
        }
        None => {
            space.delete(name.1.clone())?;
            model.values.remove(&name);
        }
    }
    model.in_flight = None;
    model.did("change");
    if rng.below(4) == 0 {
        model.past.push((engine.revision(), model.values.clone()));
    }
    Ok(())
}

fn append(engine: &Engine, model: &mut Model) -> Result<()> {
    let number = model.new_value();
    model.event_in_flight = Some(number);
    engine.append("t", NewEvent::text(text(number)))?;
    model.event_in_flight = None;
    model.events.push(number);
    Ok(())
}

fn erase(engine: &Engine, rng: &SeededRng, model: &mut Model) -> Result<()> {
    let is_event = rng.below(3) == 0 && !model.events.is_empty();
    let outcome;
    let numbers;
    if is_event {
        let offset = rng.below(model.events.len() as u64);
        numbers = vec![model.events[offset as usize]];
        model.mark(&numbers, Fate::Perhaps);
        let target = EraseTarget::Event { topic: "t", partition: 0, offset };
        outcome = engine.erase(&target, "asked for");
    } else {
        let names: Vec<Name> = model.all.keys().cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        let name = &names[rng.below(names.len() as u64) as usize];
        let newest = model.values.get(name).copied();
        let only_newest = rng.below(3) == 0;
        numbers = match newest {
            Some(newest) if only_newest => vec![newest],
            _ if only_newest => return Ok(()),
            _ => model.all[name].clone(),
        };
        model.mark(&numbers, Fate::Perhaps);
        let versions = if only_newest { Versions::At(0) } else { Versions::All };
        let target = EraseTarget::Key { keyspace: name.0, key: name.1.as_bytes(), versions };
        outcome = engine.erase(&target, "asked for");
    }
    match outcome {
        Ok(_) | Err(Error::Erased { .. }) => {}
        // Cleaned away.
        Err(Error::NothingToErase) => {}
        Err(error) => return Err(error),
    }
    model.mark(&numbers, Fate::Gone);
    model.erased.extend(numbers);
    model.did("erase");
    Ok(())
}

fn shred(engine: &Engine, model: &mut Model) -> Result<()> {
    let subject = |name: &Name| name.1.split('/').next().unwrap_or_default().to_owned();
    let mut subjects: Vec<String> =
        model.all.keys().filter(|name| name.0 == "people").map(subject).collect();
    subjects.retain(|subject| !model.dead_subjects.contains(subject));
    let Some(first) = subjects.first().cloned() else { return Ok(()) };
    let of_it = |name: &Name| name.0 == "people" && subject(name) == first;
    let all = model.all.iter().filter(|(name, _)| of_it(name));
    let numbers: Vec<u32> = all.flat_map(|(_, numbers)| numbers.clone()).collect();
    model.mark(&numbers, Fate::Perhaps);
    model.dead_subjects.push(first.clone());
    match engine.shred(&first, "asked for") {
        // What met a crash was never written, nor was a key made.
        Ok(_) | Err(Error::NothingToErase) => {}
        Err(error) => return Err(error),
    }
    model.mark(&numbers, Fate::Gone);
    model.did("shred");
    Ok(())
}

fn drop_scratch(engine: &Engine, model: &mut Model) -> Result<()> {
    // Whether a crash left it is seen by its name.
    engine.drop_keyspace("scratch")?;
    forget_scratch(model);
    engine.create_keyspace_with("scratch", KeyspaceRetention::LatestOnly)?;
    model.did("drop");
    Ok(())
}

fn forget_scratch(model: &mut Model) {
    model.values.retain(|name, _| name.0 != "scratch");
    model.all.retain(|name, _| name.0 != "scratch");
    for (_, values) in &mut model.past {
        values.retain(|name, _| name.0 != "scratch");
    }
}

fn sign(engine: &Engine, model: &mut Model) -> Result<()> {
    match engine.proofs().and_then(|proofs| proofs.checkpoint()) {
        Ok(signed) => model.heads.push(signed.head),
        Err(proof::Error::Engine(error)) => return Err(error),
        Err(error) => return Err(Error::Proof(Arc::new(error))),
    }
    model.did("sign");
    Ok(())
}

fn step(engine: &Engine, rng: &SeededRng, model: &mut Model, is_sealed: bool) -> Result<()> {
    match rng.below(40) {
        0..18 => change(engine, rng, model)?,
        18..21 => append(engine, model)?,
        21..24 => erase(engine, rng, model)?,
        24 => shred(engine, model)?,
        25 => drop_scratch(engine, model)?,
        26 | 27 => engine.keys().flush()?,
        28 => engine.keys().merge_tables()?,
        29 | 30 => {
            let back = rng.below(8);
            let revision = engine.revision().saturating_sub(back);
            if revision > engine.keys().compact_revision() {
                engine.keys().compact(revision)?;
            }
        }
        31 | 32 => {
            let cleaned = engine.clean_keyspaces(&ALL)?;
            model.did(if cleaned.dropped_count > 0 { "clean" } else { "clean nothing" });
        }
        33 => drop(engine.log().roll()?),
        34 => sign(engine, model)?,
        35 | 36 if is_sealed => {
            engine.rotate_encryption_key(Some(&key(3 + (rng.below(2) as u8))))?;
            model.did("rotate");
        }
        37 | 38 if is_sealed => {
            engine.reseal(None)?;
            model.did("reseal");
        }
        _ => judge_values(engine, model, "at work")?,
    }
    Ok(())
}

fn work(engine: &Engine, rng: &SeededRng, model: &mut Model, is_sealed: bool) -> Result<()> {
    make(engine)?;
    loop {
        step(engine, rng, model, is_sealed)?;
    }
}

// --- judging ----------------------------------------------------------------------------------

/// Settles what a crash met, by looking.
fn settle(engine: &Engine, model: &mut Model, when: &str) {
    if let Some(number) = model.event_in_flight.take()
        && engine.next_offset("t", 0).is_ok_and(|next| next.get() > model.events.len() as u64)
    {
        model.events.push(number);
    }
    if engine.keyspace("scratch").is_err() {
        forget_scratch(model);
    }
    let Some((name, number)) = model.in_flight.take() else { return };
    let Ok(space) = engine.keyspace(name.0) else { return };
    let before = model.values.get(&name).copied();
    let found = space.get_at(&*name.1, 0);
    let found = found.unwrap_or_else(|error| panic!("{when}: {name:?}: {error}"));
    let after = match found {
        None => None,
        // Nobody asked for the end of what was only begun.
        Some(kv) if kv.erased.is_some() => before,
        Some(kv) => Some(number_of(&kv.value)),
    };
    assert!(after == before || after == number, "{when}: {name:?} is {after:?}");
    match after {
        Some(number) => drop(model.values.insert(name, number)),
        None => drop(model.values.remove(&name)),
    }
}

fn judge_values(engine: &Engine, model: &mut Model, when: &str) -> Result<()> {
    let oldest = engine.keys().compact_revision();
    model.past.retain(|(revision, _)| *revision >= oldest.max(1));
    let now = [(0, model.values.clone())];
    let begin = model.past.len().saturating_sub(4);
    let past: Vec<(u64, Values)> = model.past[begin..].to_vec();
    for (revision, values) in now.iter().chain(&past) {
        for name in model.all.keys().cloned().collect::<Vec<_>>() {
            let Ok(space) = engine.keyspace(name.0) else { continue };
            // The second time it may come from another place.
            for round in 0..2 {
                let when = format!("{when}, {name:?} at {revision}, {round}");
                let found = space.get_at(&*name.1, *revision);
                let found = found.inspect_err(|error| println!("{when}: {error}"))?;
                match (values.get(&name), found) {
                    (None, found) => assert!(found.is_none(), "{when}: {found:?}"),
                    (Some(_), None) => panic!("{when}: it is not there"),
                    (Some(number), Some(kv)) => {
                        model.met(*number, kv.erased.is_some(), &when);
                        assert!(kv.erased.is_some() || number_of(&kv.value) == *number, "{when}");
                    }
                }
            }
        }
    }
    for (offset, number) in model.events.clone().into_iter().enumerate() {
        let when = format!("{when}, offset {offset}");
        match engine.event("t", 0, offset as u64) {
            Ok(event) => {
                assert_eq!(event.data.as_str().map(str::as_bytes).map(number_of), Some(number));
                model.met(number, false, &when);
            }
            Err(Error::Erased { by: Some(_), .. }) => model.met(number, true, &when),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn judge(engine: &Engine, disk: &dyn Vfs, paths: &[String], model: &mut Model, when: &str) {
    settle(engine, model, when);
    judge_values(engine, model, when).expect("reads");
    for number in model.erased.iter().rev().take(20) {
        let needle = format!("needle {number:06}!");
        let found = holders(disk, paths, needle.as_bytes());
        assert!(found.is_empty(), "{when}: {needle} is in {found:?}");
    }
    let (report, erasures) = engine.verify_erasures(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact(), "{when}: {report:?}");
    assert!(erasures.missing.is_empty(), "{when}: {:?}", erasures.missing);
    assert!(erasures.pending.is_empty(), "{when}: {:?}", erasures.pending);
    engine.keys().verify_tables().expect("whole");
}

/// The tree of the leaves: of a record that was cleaned away nothing else is left.
fn rebuilt(engine: &Engine, size: u64) -> TreeHead {
    let (mut tree, mut scan) = (Tree::new(), engine.log().scan(engine.log().start_lsn()));
    while tree.size() < size {
        let record = scan.next_record().expect("reads").expect("there");
        tree.push(record.leaf().into()).expect("pushes");
    }
    tree.head()
}

fn judge_proofs(engine: &Engine, model: &Model, when: &str) {
    let proofs = engine.proofs().expect("opens");
    proofs.catch_up().expect("catches up");
    let head = proofs.head().expect("head");
    assert_eq!(head, rebuilt(engine, head.size), "{when}");
    for old in &model.heads {
        let proof = proofs.consistency(old.size, head.size).expect("proves");
        consistency::verify(old, &head, &proof).expect("what was signed is what there is");
    }
    for space in ["ledger", "cache"] {
        if head.size > 8 && engine.keyspace(space).is_ok() {
            let shown = proofs.prove_map(space, b"key1", Question::Newest);
            let shown = match shown {
                // The other versions of the key must be in the log for that.
                Err(proof::Error::Map(_)) if space == "cache" => continue,
                shown => shown.unwrap_or_else(|error| panic!("{when}: {space}: {error:?}")),
            };
            shown.file.check(&[proofs.verifier().expect("key")]).expect("holds");
        }
    }
}

fn lives() -> u64 {
    let crashes = std::env::var("CAIRN_CRASHES").ok().and_then(|text| text.parse().ok());
    (crashes.unwrap_or(20_000_u64) / 400).clamp(1, 2000)
}

#[test]
fn after_crashes_amid_all_of_it_every_value_reads_or_was_asked_to_go() {
    let mut done: BTreeMap<&str, u32> = BTreeMap::new();
    let mut crashes = 0;
    for seed in seeds(0..lives()) {
        println!("seed {seed}");
        let (disk, rng) = (SimVfs::new(seed, SimConfig::default()), SeededRng::new(seed));
        let mut model = Model::default();
        for life in 0..6 {
            let when = format!("seed {seed}, life {life}");
            // Some begin plain and get a key later.
            let is_sealed = life >= seed % 4;
            let open = |salt| {
                options(
                    Arc::new(disk.clone()),
                    seed.wrapping_mul(100) + life * 10 + salt,
                    is_sealed,
                )
            };
            disk.crash_after(10 + rng.below(900));
            let outcome =
                open(1).open().and_then(|engine| work(&engine, &rng, &mut model, is_sealed));
            let error = outcome.expect_err("it ends when the disk does");
            assert!(disk.is_down(), "{when}: {error}");
            match rng.below(4) {
                0 => disk.process_crash(),
                _ => disk.power_crash(),
            }
            crashes += 1;
            let engine = open(2).open().unwrap_or_else(|error| panic!("{when}: {error}"));
            judge(&engine, &disk, &disk.paths(), &mut model, &when);
            let reader = open(3).open_read_only().expect("opens beside it");
            judge_values(&reader, &mut model, &format!("{when}, read only")).expect("reads");
            drop(reader);
            if rng.below(3) == 0 {
                judge_proofs(&engine, &model, &when);
            }
            if is_sealed && rng.below(2) == 0 {
                engine.rotate_encryption_key(Some(&key(4))).expect("rotates");
                engine.reseal(None).expect("seals anew");
                let status = engine.encryption_status().expect("a status");
                assert!(status.is_settled(), "{when}: {status:?}");
                judge(&engine, &disk, &disk.paths(), &mut model, &when);
            }
        }
        for (what, count) in model.done {
            *done.entry(what).or_default() += count;
        }
    }
    println!("{done:?}");
    println!("total: crashes={crashes} violations=0");
    let all = ["change", "erase", "shred", "drop", "clean", "sign", "rotate", "reseal"];
    assert!(
        is_soak() || lives() < 20 || all.iter().all(|what| done.contains_key(what)),
        "{done:?}"
    );
}

// --- one by one -------------------------------------------------------------------------------

fn open(vfs: &MemVfs, seed: u64, is_sealed: bool) -> Engine {
    options(Arc::new(vfs.clone()), seed, is_sealed).open().expect("opens")
}

#[test]
fn what_goes_with_a_dropped_keyspace_is_not_missing() {
    let vfs = MemVfs::new();
    let engine = open(&vfs, 1, false);
    engine.create_keyspace_with("cache", KeyspaceRetention::LatestOnly).expect("creates");
    engine.create_keyspace("ledger").expect("creates");
    for number in 0..5 {
        engine.keyspace("cache").expect("there").put("k", text(number)).expect("puts");
    }
    engine.drop_keyspace("cache").expect("drops");
    engine.keyspace("ledger").expect("there").put("k", "v").expect("puts");
    engine.keys().compact(engine.revision()).expect("compacts");
    assert_eq!(engine.clean_keyspaces(&ALL).expect("cleans").dropped_count, 4, "one is too short");
    let check = |engine: &Engine| {
        let (report, erasures) =
            engine.verify_erasures(&VerifyOptions::default()).expect("verifies");
        assert!(report.is_intact());
        assert_eq!(erasures.missing, []);
    };
    check(&engine);
    drop(engine);
    check(&open(&vfs, 2, false));
}

#[test]
fn an_erasure_in_a_sealed_store_leaves_nothing_plain_beside_it() {
    let vfs = MemVfs::new();
    let engine = open(&vfs, 1, true);
    make(&engine).expect("makes");
    for number in 0..3_u64 {
        engine.append("t", NewEvent::text("x".repeat(100))).expect("appends");
        let target = EraseTarget::Event { topic: "t", partition: 0, offset: number };
        engine.erase(&target, "r").expect("erases");
        let plain = engine.encryption_status().expect("a status").plain;
        assert_eq!(plain.file_count, 0);
        engine.rotate_encryption_key(None).expect("rotates");
        engine.reseal(None).expect("seals anew");
        assert!(engine.encryption_status().expect("a status").is_settled());
    }
}

#[test]
fn a_reader_beside_learns_new_subjects_also_under_a_new_data_key() {
    for is_sealed in [false, true] {
        let vfs = MemVfs::new();
        let engine = open(&vfs, 1, is_sealed);
        make(&engine).expect("makes");
        let people = engine.keyspace("people").expect("there");
        people.put("anna/name", "Anna").expect("puts");
        let reader = options(Arc::new(vfs.clone()), 2, is_sealed).open_read_only().expect("opens");
        let read = |name: &str| {
            reader.refresh().expect("refreshes");
            reader.keyspace("people").expect("there").get(name).expect("reads")
        };
        assert_eq!(read("anna/name").as_deref(), Some(&b"Anna"[..]));
        people.put("bert/name", "Bert").expect("puts");
        assert_eq!(read("bert/name").as_deref(), Some(&b"Bert"[..]));
        if is_sealed {
            engine.rotate_encryption_key(None).expect("rotates");
            engine.reseal(None).expect("seals anew");
            people.put("carl/name", "Carl").expect("puts");
            assert_eq!(read("carl/name").as_deref(), Some(&b"Carl"[..]));
            assert_eq!(read("anna/name").as_deref(), Some(&b"Anna"[..]));
            // One that comes later needs no older key.
            let later = options(Arc::new(vfs.clone()), 3, true).open_read_only().expect("opens");
            let found = later.keyspace("people").expect("there").get("anna/name").expect("reads");
            assert_eq!(found.as_deref(), Some(&b"Anna"[..]));
        }
        let done = engine.shred("anna", "r").expect("shreds");
        reader.refresh().expect("refreshes");
        let gone = reader.keyspace("people").expect("there").get("anna/name");
        assert!(matches!(gone, Err(Error::Erased { by, .. }) if by == Some(done.by)), "{gone:?}");
        people.put("dora/name", "Dora").expect("puts");
        assert_eq!(read("dora/name").as_deref(), Some(&b"Dora"[..]));
    }
}
