//! Elections: one leader, known to everybody, fenced when it is over.

use std::time::Duration;

use cairn_cache::{Election, Error};
use cairndb::engine::Engine;
use cairndb::keys::Put;

use crate::locks::{engine, locks};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_leader_that_is_over_can_neither_write_nor_proclaim() {
    let (engine, clock) = engine();
    engine.create_keyspace("data").expect("creates");
    let data = engine.keyspace("data").expect("there").stream();
    let election = Election::open(&locks(&engine), "boss").expect("opens");
    let mut seen = election.observe().expect("observes");
    let old = election.try_campaign("old").expect("stands").expect("wins");
    assert!(election.try_campaign("other").expect("stands").is_none());
    assert_eq!(seen.next(LONG).expect("waits").expect("news").expect("one").label, "old");
    clock.advance(Duration::from_secs(11));
    assert_eq!(election.leader().expect("asks"), None);
    assert_eq!(seen.next(LONG).expect("waits"), Some(None));
    let new = election.try_campaign("new").expect("stands").expect("wins");
    assert!(new.token() > old.token());
    assert!(matches!(old.proclaim("still me"), Err(Error::LockLost { .. })));
    let put = Put::new(data, "k", "v");
    assert!(matches!(
        old.fence().with_fence(|planner| planner.put(&put)),
        Err(Error::LockLost { .. })
    ));
    new.fence().with_fence(|planner| planner.put(&put)).expect("leads");
    new.proclaim("new, with more to say").expect("leads");
    let told = seen.next(LONG).expect("waits").expect("news").expect("one");
    assert_eq!((told.label, told.token), ("new, with more to say".into(), new.token()));
}

#[test]
fn leadership_goes_to_the_candidate_that_came_first_and_observers_follow() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path().join("data")).expect("opens");
    let election = Election::open(&locks(&engine), "boss").expect("opens");
    let first = election.campaign("node 0", LONG).expect("wins");
    let mut seen = election.observe().expect("observes");
    assert_eq!(seen.current().expect("one").label, "node 0");
    std::thread::scope(|scope| {
        for node in 1..4 {
            let election = &election;
            scope.spawn(move || {
                let leadership = election.campaign(format!("node {node}"), LONG).expect("wins");
                leadership.resign().expect("leads");
            });
        }
        first.resign().expect("leads");
    });
    // What counts is who leads in the end; what is told on the way is in order.
    let mut last = 0;
    while let Some(change) = seen.next(Duration::ZERO).expect("asks") {
        if let Some(leader) = change {
            assert!(leader.token > last);
            last = leader.token;
        }
    }
    assert_eq!(election.leader().expect("asks"), None);
    let refused = election.campaign("late", Duration::ZERO).expect("nobody is there");
    drop(refused);
    assert!(engine.keys().lease_ids().is_empty());
}
