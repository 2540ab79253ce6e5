//! `cairn tour`: the main promises on real data, in a temporary directory.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cairndb::codec::CodecRegistry;
use cairndb::log::verify_store;
use cairndb::prelude::*;
use cairndb::types::Bytes;
use cairndb::vfs::StdVfs;
use serde_json::Value;

use super::line;

/// Earthquakes of one week, from the feed of the US Geological Survey (public domain).
const EARTHQUAKES: &str = include_str!("../../data/earthquakes.jsonl");
/// Airports of California, New York and Washington (US government data, public domain).
const AIRPORTS: &str = include_str!("../../data/airports.csv");
const TOPIC: &str = "earthquakes";

/// Runs the tour.
pub fn run(out: &mut impl Write) -> Result<()> {
    let dir = std::env::temp_dir().join(format!("cairn-tour-{}", std::process::id()));
    let outcome = steps(&dir, out);
    let removed = std::fs::remove_dir_all(&dir);
    outcome?;
    Ok(removed?)
}

fn steps(dir: &Path, out: &mut impl Write) -> Result<()> {
    let data = dir.join("data");
    let engine = Engine::open(&data)?;
    line(out, "1. Import: one week of earthquakes (USGS, public domain)")?;
    let count = import(&engine)?;
    let chain = engine.log().head().chain;
    line(out, format!("   {count} events, each batch durable before it was acknowledged"))?;
    line(out, format!("   one hash stands for all of them: {chain}\n"))?;

    line(out, "2. Read: by offset, by time, from the end")?;
    show(out, "offset 1000", &engine.event(TOPIC, 0, 1000)?)?;
    let noon: Timestamp = "2018-02-02T12:00:00Z".parse()?;
    let mut from = engine.events_from(TOPIC, 0, ReadFrom::Time(noon))?;
    show(out, "first after 2 February, noon", &from.next().context("no such event")??)?;
    show(out, "newest", engine.newest(TOPIC, 0, None, 1)?.first().context("no event")?)?;

    line(out, "\n3. Subscribe: catch up, then live")?;
    let mut live = engine.subscribe(TOPIC, None, ReadFrom::Latest)?;
    let writer = engine.clone();
    let thread = std::thread::spawn(move || {
        writer.append(TOPIC, NewEvent::json(r#"{"place":"the end of this tour","mag":9.9}"#))
    });
    let event = live.next(Duration::from_secs(10))?.context("the event did not come")?;
    thread.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    show(out, "arrived while we waited", &event)?;

    line(out, "\n4. Verify: every checksum, every record, the whole chain")?;
    let report = engine.verify(&VerifyOptions::default())?;
    if !report.is_intact() {
        bail!("the fresh store does not verify: {:?}", report.damage);
    }
    line(
        out,
        format!("   {} records in {} batches are intact", report.record_count, report.batch_count),
    )?;
    line(out, "\n5. Keys: airports of three states, in the same log")?;
    keys(&engine, out)?;
    line(out, "\n6. Graph: airports and the routes between them")?;
    super::graph::tour(&engine, AIRPORTS, out)?;
    line(out, "\n7. Prove: to somebody who has a file and our public key, and nothing else")?;
    super::proof::tour(&engine, TOPIC, dir, out)?;
    engine.close()?;
    drop((engine, live));

    line(out, "\n8. Tamper: flip one bit in a copy")?;
    tamper(&data, &dir.join("copy"), out)?;
    line(out, "\nTry next, with your own data:")?;
    line(out, "   cairn import quakes FILE.jsonl --key net --time time")?;
    line(out, "   cairn read quakes --from 2018-02-01T00:00:00Z --limit 5")?;
    line(out, "   cairn tail quakes --follow        (and `cairn append quakes -` beside it)")?;
    line(out, "   cairn put greeting hello; cairn put greeting goodbye; cairn history greeting")?;
    line(out, "   cairn watch greeting --rev 2      (and `cairn put` beside it)")?;
    line(out, "   cairn vkey; cairn prove --key greeting --out greeting.tlog-proof")?;
    line(out, "   cairn graph import --nodes NODES.csv --edges EDGES.csv; cairn graph stats")?;
    line(out, "   cairn verify")
}

/// Keys with revisions: loaded, changed together with an event, read as they were, watched.
fn keys(engine: &Engine, out: &mut impl Write) -> Result<()> {
    engine.create_keyspace("airports")?;
    engine.create_keyspace("accounts")?;
    engine.create_topic("transfers", TopicConfig::default())?;
    let (airports, accounts) = (engine.keyspace("airports")?, engine.keyspace("accounts")?);
    let rows = AIRPORTS.lines().skip(1).filter_map(|row| row.split_once(','));
    let loaded = airports.put_all(rows.map(|(code, rest)| (code.to_owned(), rest.to_owned())))?;
    let name = |value: Option<Bytes>| {
        let text = String::from_utf8_lossy(&value.unwrap_or_default()).into_owned();
        text.split(',').next().unwrap_or_default().to_owned()
    };
    let (count, sfo) = (airports.key_count()?, name(airports.get("SFO")?));
    line(out, format!("   {count} airports in revision {loaded}; SFO is {sfo}"))?;

    accounts.put_all([("alice", "10"), ("bob", "0")])?;
    let before = engine.revision();
    let mut watcher = accounts.watch(WatchRequest::new(accounts.stream(), Range::all()))?;
    let committed = engine.transact(|tx| {
        tx.put(&accounts, "alice", "7");
        tx.put(&accounts, "bob", "3");
        tx.append("transfers", NewEvent::json(r#"{"from":"alice","to":"bob","amount":3}"#))
    })?;
    let event = committed.events.first().context("the event has a place")?;
    let (revision, offset) = (committed.revision, event.offset);
    line(
        out,
        format!(
            "   moved 3 from alice to bob: revision {revision}, with event {offset} of transfers in the same commit"
        ),
    )?;
    let batch = watcher.try_next()?.context("the watch saw nothing")?;
    line(
        out,
        format!(
            "   a watch saw {} changes, together, in revision {}",
            batch.changes.len(),
            batch.revision
        ),
    )?;
    let was = accounts.get_at("alice", before)?.context("alice was there")?;
    let was = String::from_utf8_lossy(&was.value).into_owned();
    line(
        out,
        format!("   alice at revision {before}: {was}; now: {}", name(accounts.get("alice")?)),
    )
}

fn import(engine: &Engine) -> Result<usize> {
    engine.create_topic(TOPIC, TopicConfig::default())?;
    let mut events = Vec::new();
    for text in EARTHQUAKES.lines() {
        let quake: Value = serde_json::from_str(text)?;
        let time = quake["time"].as_i64().context("no time")?;
        let key = quake["net"].as_str().context("no network")?;
        events.push(NewEvent::json(text).with_key(key.to_owned()).at(Timestamp::from_millis(time)));
    }
    let mut count = 0;
    for batch in events.chunks(100) {
        count += engine.append_batch(TOPIC, batch)?.len();
    }
    Ok(count)
}

fn show(out: &mut impl Write, what: &str, event: &Event) -> Result<()> {
    let quake: Value = serde_json::from_slice(event.data.as_bytes())?;
    let (mag, place) = (&quake["mag"], quake["place"].as_str().unwrap_or("?"));
    line(
        out,
        format!(
            "   {what}: offset {}, {}, magnitude {mag}, {place}",
            event.offset, event.timestamp
        ),
    )
}

/// Copies the store, flips a bit in the middle of the log, and shows that it is found.
fn tamper(data: &Path, copy: &Path, out: &mut impl Write) -> Result<()> {
    StdVfs::create(copy)?;
    std::fs::create_dir(copy.join("log"))?;
    for name in ["CAIRN", "log/superblock", "log/segment_000000.log"] {
        std::fs::copy(data.join(name), copy.join(name))?;
    }
    let path = copy.join("log/segment_000000.log");
    let mut bytes = std::fs::read(&path)?;
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    std::fs::write(&path, bytes)?;
    line(out, format!("   flipped the lowest bit of byte {place}"))?;
    let vfs = StdVfs::open(copy)?;
    let report = verify_store(&vfs, &CodecRegistry::standard(), &VerifyOptions::default())?;
    for damage in &report.damage {
        line(out, format!("   found: {damage}"))?;
    }
    if report.is_intact() {
        bail!("a flipped bit was not found");
    }
    Ok(())
}
