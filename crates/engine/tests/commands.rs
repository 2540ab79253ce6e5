//! Commands: every one survives the wire, no bytes break the decoder, and stores that apply the
//! same ones are the same.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_engine::*;
use cairn_mvcc::{
    Compare, CompareOp, CompareTarget, DeleteRange, LeaseId, Options, Put, RangeRequest,
    TreeOptions, Txn, TxnOp,
};
use cairn_segment::{Compression, Log, LogConfig, LogOptions, Retention};
use cairn_types::*;
use cairn_vfs::{Clock, ManualClock, MemVfs, Rng, SeededRng};
use proptest::prelude::*;

fn log(vfs: &MemVfs, seed: u64) -> LogOptions {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let clock = ManualClock::default();
    // Clocks and random numbers of two stores have nothing in common.
    clock.advance(Duration::from_secs(seed * 1000));
    let rng = Arc::new(SeededRng::new(seed));
    Log::options().vfs(Arc::new(vfs.clone())).clock(Arc::new(clock)).rng(rng).config(config)
}

fn open(vfs: &MemVfs, seed: u64) -> Engine {
    // Where keys are must not show either: in every other store most are in tables.
    let cramped = TreeOptions {
        memory_len: 1 << 10,
        hot_len: 1 << 10,
        flush_len: 1 << 9,
        block_len: 128,
        table_len: 1 << 10,
        level_len: 2 << 10,
        flushed_max: 2,
        ..TreeOptions::default()
    };
    let tree = if seed.is_multiple_of(2) { cramped } else { TreeOptions::default() };
    let keys = Options { tree, ..Options::default() };
    Engine::options().log(log(vfs, seed)).keys(keys).open().expect("opens")
}

fn replica(vfs: &MemVfs, commands: &MemVfs, seed: u64) -> LocalReplication {
    let commands = log(commands, seed + 1000).open().expect("opens");
    LocalReplication::open(open(vfs, seed), commands).expect("opens")
}

fn topic(name: &str) -> Topic {
    Topic::new(name).expect("valid")
}

fn setup() -> Vec<Command> {
    let two = TopicConfig { partitions: 2, ..TopicConfig::default() };
    let packed = TopicConfig {
        compression: Compression::Lz4,
        max_len: Some(2000),
        max_age: Some(Duration::from_millis(1500)),
        ..TopicConfig::default()
    };
    vec![
        Command::CreateTopic { topic: topic("t"), config: two },
        Command::CreateTopic { topic: topic("packed"), config: packed },
        Command::CreateKeyspace { keyspace: KeyspaceName::new("k").expect("valid") },
        Command::CreateKeyspaceWith {
            keyspace: KeyspaceName::new("l").expect("valid"),
            retention: KeyspaceRetention::LatestOnly,
        },
        Command::RegisterProducer { producer: ProducerName::new("p").expect("valid") },
    ]
}

/// Random commands, most of them sensible.
struct Source {
    rng: SeededRng,
    engine: Engine,
    leases: Vec<LeaseId>,
}

impl Source {
    fn below(&self, bound: u64) -> u64 {
        self.rng.below(bound)
    }

    fn space(&self) -> StreamId {
        let spaces: Vec<StreamId> = self.engine.keyspaces().iter().map(Keyspace::stream).collect();
        match usize::try_from(self.below(20)).expect("small") {
            0 => StreamId::SYSTEM,
            1 => StreamId::new(999),
            number => spaces.get(number % spaces.len().max(1)).copied().unwrap_or_default(),
        }
    }

    fn key(&self) -> Bytes {
        format!("key{}", self.below(12)).into()
    }

    fn range(&self) -> cairn_mvcc::Range {
        match self.below(3) {
            0 => cairn_mvcc::Range::key(self.key()),
            1 => cairn_mvcc::Range::between(self.key(), self.key()),
            _ => cairn_mvcc::Range::prefix("key1"),
        }
    }

    fn lease(&self) -> LeaseId {
        let pick = usize::try_from(self.below(6)).expect("small");
        self.leases.get(pick).copied().unwrap_or(LeaseId::NONE)
    }

    fn put(&self) -> Put {
        let len = if self.below(5) == 0 { 300 } else { 10 };
        let mut value = vec![0; len];
        self.rng.fill(&mut value);
        Put {
            lease: self.lease(),
            prev_kv: self.below(2) == 0,
            ..Put::new(self.space(), self.key(), value)
        }
    }

    fn delete(&self) -> DeleteRange {
        DeleteRange { prev_kv: true, ..DeleteRange::new(self.space(), self.range()) }
    }

    fn event(&self) -> NewEvent {
        let number = self.below(1000);
        let event = match self.below(3) {
            0 => NewEvent::json(format!("{{\"n\":{number}}}")),
            1 => NewEvent::text(format!("event {number}")).with_key(self.key()),
            _ => NewEvent::binary(vec![7; usize::try_from(number).expect("small")]),
        };
        // Few identities: some are repeats.
        let id = EventId::from_bytes([u8::try_from(self.below(40)).expect("small"); 16]);
        if self.below(2) == 0 { event.with_id(id) } else { event }
    }

    fn txn(&self, depth: u32) -> Txn {
        let target = match self.below(4) {
            0 => CompareTarget::Version(self.below(3)),
            1 => CompareTarget::Mod(self.below(20)),
            2 => CompareTarget::Value(Bytes::from_static(b"x")),
            _ => CompareTarget::Lease(self.lease()),
        };
        let op = if self.below(2) == 0 { CompareOp::Less } else { CompareOp::NotEqual };
        let compare = vec![Compare { space: self.space(), range: self.range(), op, target }];
        let ops = |count: u64| {
            (0..count)
                .map(|_| match self.below(5) {
                    0 | 1 => TxnOp::Put(self.put()),
                    2 => TxnOp::Delete(self.delete()),
                    3 if depth < 2 => TxnOp::Txn(self.txn(depth + 1)),
                    _ => TxnOp::Range(RangeRequest::new(self.space(), self.range()).limit(3)),
                })
                .collect()
        };
        Txn { compare, success: ops(self.below(4)), failure: ops(self.below(3)) }
    }

    fn next(&mut self) -> Command {
        let name = if self.below(4) == 0 { "packed" } else { "t" };
        let partition = Partition::new(u32::try_from(self.below(3)).expect("small"));
        let number = self.below(30);
        match self.below(24) {
            0..=4 => Command::Put(self.put()),
            5 => Command::PutAll((0..3).map(|_| self.put()).collect()),
            6 => Command::DeleteRange(self.delete()),
            7..=9 => {
                let events =
                    (0..2).filter_map(|_| self.engine.event_command(name, &self.event()).ok());
                Command::Txn { txn: self.txn(0), events: events.collect() }
            }
            10..=13 => {
                let events: Vec<_> = (0..=self.below(3)).map(|_| self.event()).collect();
                match self.engine.append_command(name, &events) {
                    Ok(Command::AppendEvents { topic, events, .. }) if self.below(4) == 0 => {
                        let expect = Some((partition, Offset::new(number)));
                        Command::AppendEvents { topic, expect, events }
                    }
                    Ok(command) => command,
                    Err(_) => Command::Compact { revision: 1 },
                }
            }
            14 => match self.engine.event_command("t", &self.event()) {
                Ok((topic, event)) => Command::AppendAs {
                    topic,
                    producer: ProducerId::new(0),
                    epoch: 0,
                    sequence: self.below(4),
                    event,
                },
                Err(_) => Command::Compact { revision: 2 },
            },
            15 => {
                let command = self.engine.lease_command(60);
                if let Command::LeaseGrant { id, .. } = command {
                    self.leases.insert(0, id);
                }
                command
            }
            16 => Command::LeaseKeepAlive { id: self.lease() },
            17 => Command::LeaseRevoke { id: self.lease(), expired: number.is_multiple_of(2) },
            18 => Command::CommitOffset {
                group: GroupName::new("g").expect("valid"),
                topic: topic(name),
                partition,
                next: Offset::new(number),
            },
            19 => {
                Command::TrimPartition { topic: topic(name), partition, begin: Offset::new(number) }
            }
            20 => Command::Compact { revision: self.engine.revision().saturating_sub(number) },
            21 if number < 3 => Command::DropTopic { topic: topic("t") },
            21 => Command::CreateTopic { topic: topic("t"), config: TopicConfig::default() },
            22 if number < 3 => {
                Command::DropKeyspace { keyspace: KeyspaceName::new("l").expect("valid") }
            }
            22 => Command::CreateKeyspace { keyspace: KeyspaceName::new("l").expect("valid") },
            _ => {
                let config = TopicConfig { latest_by_key: number > 15, ..TopicConfig::default() };
                Command::ConfigureTopic { topic: topic(name), config }
            }
        }
    }
}

/// Everything of a store that commands decide.
fn state(engine: &Engine) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let hash = engine.keys().state_hash(0).expect("hashes");
    let (revision, compacted) = (engine.revision(), engine.keys().compact_revision());
    writeln!(out, "{hash:02x?} {revision} {compacted}").expect("writes");
    for keyspace in engine.keyspaces() {
        writeln!(
            out,
            "{} {} {}",
            keyspace.name(),
            keyspace.stream(),
            keyspace.key_count().expect("counts")
        )
        .expect("ok");
        for kv in keyspace.scan(cairn_mvcc::Range::all(), 0).expect("scans") {
            let key = kv.expect("reads").key;
            writeln!(out, "{:?}", keyspace.history(&key).expect("reads")).expect("writes");
        }
    }
    for id in engine.keys().lease_ids() {
        let lease = engine.keys().lease(id).expect("there");
        writeln!(out, "{id} {} {:?}", lease.ttl, lease.keys).expect("writes");
    }
    for (name, config) in engine.topics() {
        writeln!(out, "{name} {config:?}").expect("writes");
        for partition in 0..config.partitions {
            for event in engine.events(name.as_str(), partition, 0).expect("reads") {
                let event = Event { lsn: Lsn::new(0), ..event.expect("reads") };
                writeln!(out, "{event:?}").expect("writes");
            }
            let committed = engine.committed("g", name.as_str(), partition).expect("looks");
            writeln!(out, "{committed:?}").expect("writes");
        }
    }
    out
}

#[test]
fn stores_that_apply_the_same_commands_are_the_same_through_snapshots_and_restarts() {
    for seed in 0..12_u64 {
        let (leader_vfs, leader_log) = (MemVfs::new(), MemVfs::new());
        let leader = replica(&leader_vfs, &leader_log, seed * 10 + 1);
        let (direct_vfs, mut direct) = (MemVfs::new(), None);
        let mut copy: Option<(MemVfs, MemVfs, LocalReplication)> = None;
        let mut source =
            Source { rng: SeededRng::new(seed), engine: leader.engine().clone(), leases: vec![] };
        let mut refused = 0;
        let setup = setup();
        for number in 0..260_usize {
            let command = setup.get(number).cloned().unwrap_or_else(|| source.next());
            let done = leader.submit(&command).expect("applies");
            assert_eq!(done.position.get(), number as u64 + 1);
            refused += usize::from(done.answer.is_refused());
            let expected = done.answer.encode();
            // A store that is closed and opened again and again.
            let engine = direct.take().unwrap_or_else(|| open(&direct_vfs, seed + 50));
            let position = engine.applied_position();
            for command in leader.commands_after(position) {
                let (position, command) = command.expect("reads");
                let answer = engine.apply(position, &command).expect("applies").encode();
                if position == done.position {
                    assert_eq!(answer, expected, "seed {seed}, {position}: {command:?}");
                }
            }
            if number % 20 != 19 {
                direct = Some(engine);
            }
            if number == 120 {
                // Another begins with a snapshot, after local maintenance of the leader.
                leader.engine().log().roll().expect("rolls");
                leader.engine().retain(&Retention::default()).expect("carries forward");
                copy = Some(follow(&leader, seed));
            } else if let Some((_, _, follower)) = &copy {
                let done = follower.accept(done.position, &command).expect("accepts");
                assert_eq!(done.answer.encode(), expected, "seed {seed}: {command:?}");
            }
        }
        assert!((20..200).contains(&refused), "a fair mix: {refused} of 260 refused");
        let expected = state(leader.engine());
        let engine = direct.unwrap_or_else(|| open(&direct_vfs, seed + 50));
        assert!(state(&engine) == expected, "seed {seed}: the direct one differs");
        let (vfs, log, follower) = copy.expect("made");
        assert!(state(follower.engine()) == expected, "seed {seed}: the follower differs");
        drop((follower, source, leader));
        let again = replica(&vfs, &log, seed + 7);
        assert!(state(again.engine()) == expected, "seed {seed}: reopened it differs");
        let again = replica(&leader_vfs, &leader_log, seed + 9);
        assert!(state(again.engine()) == expected, "seed {seed}: the leader reopened differs");
    }
}

fn follow(leader: &LocalReplication, seed: u64) -> (MemVfs, MemVfs, LocalReplication) {
    let provided = leader.snapshot().expect("takes");
    let mut stream = Vec::new();
    provided.snapshot.write_to(&mut stream, 0, None).expect("writes");
    let (vfs, log) = (MemVfs::new(), MemVfs::new());
    let mut import = SnapshotImport::open(Arc::new(vfs.clone())).expect("opens");
    import.read_from(&mut stream.as_slice(), None).expect("reads");
    import.finish(leader.engine().log().codecs()).expect("finishes");
    let follower = replica(&vfs, &log, seed + 90);
    assert_eq!(follower.engine().applied_position(), provided.position);
    for command in leader.commands_after(provided.position) {
        let (position, command) = command.expect("reads");
        follower.accept(position, &command).expect("accepts");
    }
    (vfs, log, follower)
}

#[test]
fn commands_that_were_logged_and_not_applied_are_applied_at_the_next_open() {
    let (vfs, commands) = (MemVfs::new(), MemVfs::new());
    let store = replica(&vfs, &commands, 1);
    for command in setup() {
        store.submit(&command).expect("applies");
    }
    let space = store.engine().keyspace("k").expect("there").stream();
    let before = vfs.fork();
    for number in 0..5 {
        let put = Put::new(space, "k", format!("{number}"));
        store.submit(&Command::Put(put)).expect("applies");
    }
    let expected = state(store.engine());
    drop(store);
    // The store lost what came after the copy; the log of commands did not.
    let again = replica(&before, &commands, 2);
    assert_eq!(state(again.engine()), expected);
    assert_eq!(again.engine().applied_position(), again.end());
    drop(again);
    // The other way round is not to be mended.
    let lost = MemVfs::new();
    let log_of_one = log(&lost, 3).open().expect("opens");
    let one = LocalReplication::open(open(&MemVfs::new(), 4), log_of_one).expect("opens");
    one.submit(&setup()[0]).expect("applies");
    drop(one);
    let short = log(&lost, 3).open().expect("opens");
    let error = LocalReplication::open(open(&before, 5), short).expect_err("too short");
    assert!(matches!(error, Error::CommandsMissing { .. }), "{error}");
}

#[test]
fn positions_grow_and_a_follower_takes_no_gap() {
    let store = replica(&MemVfs::new(), &MemVfs::new(), 1);
    let commands = setup();
    store.accept(Position::new(1), &commands[0]).expect("the first");
    let error = store.accept(Position::new(1), &commands[0]).expect_err("again");
    assert!(matches!(error, Error::AlreadyApplied { position: 1, applied: 1 }), "{error}");
    let error = store.accept(Position::new(3), &commands[1]).expect_err("a gap");
    assert!(matches!(error, Error::CommandsMissing { .. }), "{error}");
}

#[test]
fn what_is_due_by_the_clock_becomes_commands() {
    let clock = Arc::new(ManualClock::default());
    let commands = log(&MemVfs::new(), 1).open().expect("opens");
    let options = log(&MemVfs::new(), 2).clock(clock.clone());
    let engine = Engine::options().log(options).open().expect("opens");
    let store = LocalReplication::open(engine, commands).expect("opens");
    for command in setup() {
        store.submit(&command).expect("applies");
    }
    let engine = store.engine();
    let lease = engine.lease_command(10);
    store.submit(&lease).expect("applies");
    let event = engine.append_command("packed", &[NewEvent::text("old")]).expect("fixes");
    store.submit(&event).expect("applies");
    assert_eq!(engine.due_commands().expect("looks"), []);
    let before = clock.now();
    clock.advance(Duration::from_secs(20));
    assert!(clock.now() > before);
    let due = engine.due_commands().expect("looks");
    assert!(matches!(due[0], Command::LeaseRevoke { expired: true, .. }), "{due:?}");
    assert!(matches!(due[1], Command::TrimPartition { .. }), "{due:?}");
    for command in &due {
        assert!(!store.submit(command).expect("applies").answer.is_refused());
    }
    assert_eq!(engine.due_commands().expect("looks"), []);
    assert_eq!(engine.events("packed", 0, 0).expect("reads").count(), 0);
}

#[test]
fn numbers_of_what_was_dropped_are_never_used_again_after_retention() {
    let vfs = MemVfs::new();
    let engine = open(&vfs, 1);
    engine.create_topic("kept", TopicConfig::default()).expect("creates");
    engine.create_topic("secret", TopicConfig::default()).expect("creates");
    engine.append("secret", NewEvent::text("not for others")).expect("appends");
    engine.drop_topic("secret").expect("drops");
    engine.log().roll().expect("rolls");
    for _ in 0..2 {
        engine.retain(&Retention::default()).expect("carries forward");
        engine.log().roll().expect("rolls");
    }
    // As if everything but the carried records were gone.
    let mut erase = |_: Lsn, record: &cairn_codec::RecordView<'_>| {
        let old = record.stream == StreamId::SYSTEM && record.sequence < 5;
        if old { cairn_segment::Fate::Drop } else { cairn_segment::Fate::Keep }
    };
    engine.log().clean(&mut erase, &cairn_segment::CleanOptions::default()).expect("cleans");
    drop(engine);
    let engine = open(&vfs, 1);
    engine.create_topic("new", TopicConfig::default()).expect("creates");
    assert_eq!(engine.events("new", 0, 0).expect("reads").count(), 0, "nobody else's events");
}

#[test]
fn every_command_survives_the_wire_and_no_cut_or_flip_breaks_the_decoder() {
    let engine = open(&MemVfs::new(), 1);
    for (number, command) in (1..).zip(setup()) {
        engine.apply(Position::new(number), &command).expect("applies");
    }
    let mut source = Source { rng: SeededRng::new(5), engine, leases: vec![LeaseId::new(-7)] };
    let extra = Command::AppendAs {
        topic: topic("t"),
        producer: ProducerId::new(3),
        epoch: 9,
        sequence: u64::MAX,
        event: source.engine.event_command("t", &NewEvent::text("x")).expect("fixes").1,
    };
    for command in setup().into_iter().chain([extra]).chain((0..400).map(|_| source.next())) {
        let bytes = Bytes::from(command.encode().expect("encodes"));
        assert_eq!(Command::decode(&bytes).expect("decodes"), command);
        for cut in 0..bytes.len().min(200) {
            assert!(Command::decode(&bytes.slice(..cut)).is_err(), "cut {cut}: {command:?}");
        }
        for at in 0..bytes.len().min(200) {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1 << (at % 8);
            let flipped = Bytes::from(flipped);
            if let Ok(other) = Command::decode(&flipped) {
                assert_eq!(other.encode().expect("encodes"), flipped, "the only encoding");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let bytes = Bytes::from(bytes);
        if let Ok(command) = Command::decode(&bytes) {
            prop_assert_eq!(command.encode().expect("encodes"), bytes);
        }
    }
}
