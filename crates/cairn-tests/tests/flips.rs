//! Bit rot in every file of a store, one bit at a time: it is reported, or every answer is what it
//! was. Also in a snapshot stream and in proofs, which must refuse it. An ordinary test run tries
//! some bits of each file, a soak goes through all of them while its time lasts.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cairn_auth::GivenKey;
use cairn_engine::proof::check;
use cairn_engine::*;
use cairn_merkle::map::Question;
use cairn_merkle::note::Verifier;
use cairn_mvcc::Range;
use cairn_segment::{Log, LogConfig, VerifyOptions};
use cairn_tests::soaking::{is_soak, seeds};
use cairn_types::{Lsn, Offset};
use cairn_vfs::{ManualClock, MemVfs, SeededRng};

const SPACES: [&str; 3] = ["ledger", "cache", "people"];

fn options(disk: &MemVfs, is_sealed: bool) -> EngineOptions {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let log = Log::options()
        .vfs(Arc::new(disk.clone()))
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(11)))
        .config(config);
    let options = Engine::options().log(log);
    if !is_sealed {
        return options;
    }
    let key: Vec<u8> = (0..32_u8).map(|n| n.wrapping_mul(7).wrapping_add(3)).collect();
    let key = GivenKey::from_bytes(&key).expect("strong enough");
    options.encrypted_by(&key).expect("a key")
}

/// A closed store with a file of every kind that an engine writes.
fn sample(is_sealed: bool) -> MemVfs {
    let disk = MemVfs::new();
    let engine = options(&disk, is_sealed).open().expect("opens");
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    engine.create_keyspace("ledger").expect("creates");
    engine.create_keyspace_with("cache", KeyspaceRetention::LatestOnly).expect("creates");
    engine.create_keyspace_by_subject("people").expect("creates");
    for number in 0..40_u32 {
        engine.append("t", NewEvent::text(format!("event {number}"))).expect("appends");
        for space in SPACES {
            // Nothing can be written about a subject that was shredded.
            let is_gone = space == "people" && number > 25 && number % 3 == 1;
            let subject = if is_gone { 0 } else { number % 3 };
            let key = format!("s{subject}/{}", number % 7);
            let value = format!("{space} {number} {}", "y".repeat(number as usize * 5));
            engine.keyspace(space).expect("there").put(key, value).expect("puts");
        }
        match number {
            10 | 30 => engine.log().roll().map(drop).expect("rolls"),
            20 | 35 => engine.keys().flush().expect("flushes"),
            25 => drop(engine.shred("s1", "asked for").expect("shreds")),
            _ => {}
        }
    }
    engine.commit("g", "t", 0, Offset::new(9)).expect("commits");
    let target = EraseTarget::Event { topic: "t", partition: 0, offset: 5 };
    engine.erase(&target, "asked for").expect("erases");
    engine.keys().merge_tables().expect("merges");
    let proofs = engine.proofs().expect("opens");
    proofs.checkpoint().expect("signs");
    proofs.save_key_map().expect("saves");
    engine.close().expect("closes");
    disk
}

/// Everything that the store answers, as text; an error where it reports damage.
fn answers(disk: &MemVfs, is_sealed: bool) -> std::result::Result<Vec<String>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let engine = options(disk, is_sealed).open().map_err(|error| text(&error))?;
    let report = engine.log().verify(&VerifyOptions::default()).map_err(|e| text(&e))?;
    if !report.is_intact() || !report.derived_damage.is_empty() {
        return Err(format!("{report:?}"));
    }
    engine.keys().verify_tables().map_err(|error| text(&error))?;
    let mut all = vec![format!("{:?}", engine.log().head())];
    all.push(format!("{:?} {:?}", engine.topics(), engine.committed("g", "t", 0)));
    for offset in 0..engine.next_offset("t", 0).map_err(|error| text(&error))?.get() {
        match engine.event("t", 0, offset) {
            Ok(event) => all.push(format!("{event:?}")),
            Err(Error::Erased { by: Some(by), .. }) => all.push(format!("erased by {by:?}")),
            Err(error) => return Err(text(&error)),
        }
    }
    for space in SPACES {
        let space = engine.keyspace(space).map_err(|error| text(&error))?;
        for revision in [0, engine.revision() / 2] {
            for kv in space.scan(Range::all(), revision).map_err(|error| text(&error))? {
                all.push(format!("{:?}", kv.map_err(|error| text(&error))?));
            }
        }
        let history = space.history("s0/3").map_err(|error| text(&error))?;
        all.push(format!("{:?} {history:?}", space.key_count()));
    }
    all.push(format!("{:?}", engine.shredded()));
    let proofs = engine.proofs().map_err(|error| text(&error))?;
    proofs.catch_up().map_err(|error| text(&error))?;
    all.push(format!("{:?}", proofs.head().map_err(|error| text(&error))?));
    all.push(proofs.verifier().map_err(|error| text(&error))?.to_string());
    let shown = proofs.prove_map("ledger", b"s0/3", Question::Newest);
    shown.map_err(|error| text(&error))?;
    Ok(all)
}

/// What became of the bits that were flipped.
#[derive(Default)]
struct Tally {
    reported: u64,
    harmless: u64,
    /// By the kind of file: all of them, and the harmless ones.
    files: BTreeMap<String, (u64, u64)>,
    wrong: Vec<String>,
}

impl Tally {
    fn note(&mut self, what: &str, place: &str, outcome: std::thread::Result<Option<bool>>) {
        let of_kind = self.files.entry(what.to_owned()).or_default();
        of_kind.0 += 1;
        of_kind.1 += u64::from(matches!(outcome, Ok(Some(false))));
        match outcome {
            Ok(Some(true)) => self.reported += 1,
            Ok(Some(false)) => self.harmless += 1,
            Ok(None) => self.wrong.push(format!("{place}: another answer, and no report")),
            Err(_) => self.wrong.push(format!("{place}: a panic")),
        }
        if let Some(last) = self.wrong.last()
            && last.starts_with(place)
        {
            println!("violation: {last}");
        }
    }
}

/// The kind of a file: its name without numbers.
fn kind(path: &str) -> String {
    let is_kept = |letter: &char| !letter.is_ascii_digit();
    let name: String = path.chars().filter(is_kept).collect();
    match name.rsplit_once('.') {
        Some((before, end)) => {
            let dir = before.rsplit_once('/').map(|(dir, _)| dir).unwrap_or_default();
            format!("{dir}/*.{end}")
        }
        None => name,
    }
}

/// One thing whose bits can be flipped, and what becomes of it.
struct Subject<'a> {
    what: String,
    bits: u64,
    /// `Some(true)`: reported; `Some(false)`: the same answers; `None`: neither.
    flip: Box<dyn Fn(u64) -> Option<bool> + 'a>,
}

fn store_subjects(disk: &MemVfs, is_sealed: bool) -> Vec<Subject<'_>> {
    let expected = Arc::new(answers(&disk.fork(), is_sealed).expect("well"));
    let subjects = disk.paths().into_iter().map(|path| {
        let mut bits = 0;
        disk.fork().tamper(&path, |bytes| bits = bytes.len() as u64 * 8);
        let expected = expected.clone();
        let what = format!("{}{}", if is_sealed { "sealed " } else { "" }, kind(&path));
        let flip = move |bit: u64| {
            let damaged = disk.fork();
            damaged.tamper(&path, |bytes| bytes[(bit / 8) as usize] ^= 1 << (bit % 8));
            match answers(&damaged, is_sealed) {
                Err(_) => Some(true),
                Ok(found) => (found == *expected).then_some(false),
            }
        };
        Subject { what, bits, flip: Box::new(flip) }
    });
    subjects.collect()
}

fn flipped(bytes: &[u8], bit: u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    bytes
}

fn snapshot_subject(engine: &Engine) -> Subject<'static> {
    let mut stream = Vec::new();
    let snapshot = engine.snapshot(SnapshotAt::Newest).expect("takes");
    snapshot.write_to(&mut stream, 0, None).expect("writes");
    let head = engine.log().head();
    let codecs = engine.log().codecs().clone();
    let bits = stream.len() as u64 * 8;
    let flip = move |bit: u64| {
        let disk = MemVfs::new();
        let mut import = SnapshotImport::open(Arc::new(disk.clone())).expect("opens");
        let stream = flipped(&stream, bit);
        if import.read_from(&mut stream.as_slice(), None).is_err()
            || import.finish(&codecs).is_err()
        {
            return Some(true);
        }
        match options(&disk, false).open() {
            Err(_) => Some(true),
            Ok(engine) => (engine.log().head() == head).then_some(false),
        }
    };
    Subject { what: "snapshot stream".to_owned(), bits, flip: Box::new(flip) }
}

/// A proof with any bit flipped is refused, or is the same proof in other words.
fn proof_subjects(engine: &Engine) -> Vec<Subject<'static>> {
    let proofs = engine.proofs().expect("opens");
    let keys = vec![proofs.verifier().expect("a key")];
    let record = proofs.prove_lsn(Lsn::new(3)).expect("proves").file.to_string();
    let newest = proofs.prove_map("ledger", b"s0/3", Question::Newest).expect("proves");
    let map = newest.file.to_string();
    let of_record = |bytes: &[u8], keys: &[Verifier]| {
        check::record(bytes, None, keys).ok().map(|checked| format!("{checked:?}"))
    };
    let of_map = |bytes: &[u8], keys: &[Verifier]| {
        let parsed = proof::KeyProofFile::parse(bytes).ok()?;
        parsed.check(keys).ok().map(|checked| format!("{checked:?}"))
    };
    vec![
        proof_subject("record proof", record, keys.clone(), of_record),
        proof_subject("key proof", map, keys, of_map),
    ]
}

fn proof_subject(
    what: &str,
    file: String,
    keys: Vec<Verifier>,
    check: impl Fn(&[u8], &[Verifier]) -> Option<String> + 'static,
) -> Subject<'static> {
    let expected = check(file.as_bytes(), &keys).expect("holds");
    let bits = file.len() as u64 * 8;
    let flip = move |bit: u64| match check(&flipped(file.as_bytes(), bit), &keys) {
        None => Some(true),
        Some(found) => (found == expected).then_some(false),
    };
    Subject { what: what.to_owned(), bits, flip: Box::new(flip) }
}

/// In steps of this the bits are gone through: any number without a factor in common with eight.
const STEPS: u64 = 1009;

#[test]
fn every_flipped_bit_is_found_or_changes_no_answer() {
    let (plain, sealed) = (sample(false), sample(true));
    let engine = options(&plain.fork(), false).open().expect("opens");
    let mut subjects = store_subjects(&plain, false);
    subjects.extend(store_subjects(&sealed, true));
    subjects.push(snapshot_subject(&engine));
    subjects.extend(proof_subjects(&engine));
    let bits: u64 = subjects.iter().map(|subject| subject.bits).sum();
    let mut tally = Tally::default();
    // Each round goes through another 1009th of the bits of every file.
    for (round, seed) in (0..if is_soak() { STEPS } else { 1 }).zip(seeds(0..1)) {
        // The first round is another each time, the order always the same.
        let first = (seed.wrapping_add(round) % STEPS) * 397 % STEPS;
        for subject in &subjects {
            for bit in (first..subject.bits).step_by(STEPS as usize) {
                let outcome = catch_unwind(AssertUnwindSafe(|| (subject.flip)(bit)));
                let place = format!("{} bit {bit}", subject.what);
                tally.note(&subject.what, &place, outcome);
            }
        }
    }
    let Tally { reported, harmless, files, wrong } = tally;
    println!("{bits} bits in all; flips and harmless ones: {files:?}");
    println!(
        "total: flips={} reported={reported} harmless={harmless} kinds_of_file={} violations={}",
        reported + harmless + wrong.len() as u64,
        files.len(),
        wrong.len()
    );
    assert!(reported > 0 && harmless > 0 && wrong.is_empty(), "{wrong:?}");
}
