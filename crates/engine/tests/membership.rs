//! Members of groups share partitions, and stale ones cannot commit.

use std::sync::Arc;
use std::time::Duration;

use cairn_engine::{Engine, Error, TopicConfig};
use cairn_segment::{Log, LogConfig};
use cairn_types::{Offset, Partition};
use cairn_vfs::{ManualClock, MemVfs};

#[test]
fn partitions_move_when_members_come_go_or_fall_silent() {
    let clock = Arc::new(ManualClock::default());
    let config = LogConfig { background: false, ..LogConfig::default() };
    let log = Log::options().vfs(Arc::new(MemVfs::new())).clock(clock.clone()).config(config);
    let engine = Engine::options().log(log).open().expect("opens");
    engine
        .create_topic("t", TopicConfig { partitions: 4, ..TopicConfig::default() })
        .expect("creates");
    let session = Duration::from_secs(10);
    let join = |member: &str| engine.join_group("g", "t", member, session).expect("joins");
    let numbers = |partitions: &[Partition]| partitions.iter().map(|p| p.get()).collect::<Vec<_>>();
    let a = join("a");
    assert_eq!(numbers(&a.partitions), [0, 1, 2, 3]);
    let b = join("b");
    assert_eq!(numbers(&b.partitions), [1, 3]);
    // The first member learns of it, and cannot commit what it no longer has.
    let stale = engine.commit_as(&a, Partition::new(1), Offset::new(5));
    assert!(matches!(stale, Err(Error::StaleMember { .. })));
    let a = engine.heartbeat(&a).expect("is known");
    assert_eq!(numbers(&a.partitions), [0, 2]);
    engine.commit_as(&a, Partition::new(0), Offset::new(5)).expect("commits");
    assert!(engine.commit_as(&a, Partition::new(1), Offset::new(5)).is_err());
    // Silence: after the session the others take over.
    clock.advance(Duration::from_secs(6));
    let b = engine.heartbeat(&b).expect("is known");
    clock.advance(Duration::from_secs(6));
    let b = engine.heartbeat(&b).expect("is known");
    assert_eq!(numbers(&b.partitions), [0, 1, 2, 3]);
    assert!(matches!(engine.heartbeat(&a), Err(Error::UnknownMember { .. })));
    assert!(engine.commit_as(&a, Partition::new(0), Offset::new(9)).is_err());
    engine.leave_group(&b);
    assert!(matches!(engine.heartbeat(&b), Err(Error::UnknownMember { .. })));
    // What was committed is the group's, whoever reads on.
    assert_eq!(engine.committed("g", "t", 0).expect("reads"), Some(Offset::new(5)));
}
