//! A nightly job on two machines: one works, is paused past its lease, and can write nothing any
//! more. Run it with `cargo run -p cairn-cache --example fenced_lock`.

use std::sync::Arc;
use std::time::Duration;

use cairn_cache::{Error, LockConfig, Locks, TokenGate};
use cairndb::log::Log;
use cairndb::prelude::*;
use cairndb::vfs::{ManualClock, MemVfs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A clock that is moved by hand shows in a moment what takes a minute otherwise.
    let clock = Arc::new(ManualClock::default());
    let log = Log::options().vfs(Arc::new(MemVfs::new())).clock(clock.clone());
    let engine = Engine::options().log(log).open()?;
    engine.create_keyspace("reports")?;
    let reports = engine.keyspace("reports")?;
    let locks = Locks::open(&engine, LockConfig::default())?;
    let report = |text: &'static str| Put::new(reports.stream(), "nightly", text);
    // What is not in the engine (a file, a mail server) asks a gate of its own.
    let mails = TokenGate::default();

    let first = locks.lock("nightly", Duration::from_secs(1))?;
    first.with_fence(|planner| planner.put(&report("half a report")))?;
    assert!(mails.admit(first.token()));

    // The first machine is suspended; the second one takes over with a greater token.
    clock.advance(Duration::from_secs(11));
    let second = locks.try_lock("nightly")?.expect("the lease is over");
    assert!(second.token() > first.token());
    second.with_fence(|planner| planner.put(&report("a whole report")))?;
    assert!(mails.admit(second.token()));

    // The first one wakes up in the middle of its work and knows of nothing.
    let refused = first.with_fence(|planner| planner.put(&report("the other half")));
    assert!(matches!(refused, Err(Error::LockLost { .. })));
    assert!(!mails.admit(first.token()));
    println!("{}", refused.expect_err("refused"));
    println!("the report: {:?}", reports.get("nightly")?.expect("written"));
    second.release()?;
    Ok(())
}

#[test]
fn the_example_runs() {
    main().expect("runs");
}
