//! Ten thousand logins at once, and whether time tells which names exist.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use cairn_auth::password::{SecretHasher, Verdict};
use cairn_auth::{
    Argon2idHasher, AttemptLimit, AuthConfig, AuthService, Error, HashParams, MemoryAudit,
    MemoryStore, Parts, Result, Secret, Username,
};
use cairn_vfs::{Clock, ManualClock, Rng, SeededRng, SystemClock};

use crate::world::{PASSWORD, key};

const ATTEMPTS: usize = 10_000;

/// Holds everybody who hashes until all that are too many were sent away.
#[derive(Debug, Default)]
struct SlowHasher {
    state: Mutex<(/* open */ bool, /* running */ usize, /* most */ usize)>,
    opened: Condvar,
    hashes: AtomicUsize,
}

impl SlowHasher {
    fn open(&self) {
        self.state.lock().expect("no panic").0 = true;
        self.opened.notify_all();
    }
}

impl SecretHasher for SlowHasher {
    fn hash(&self, _: &Secret, _: &dyn Rng) -> Result<String> {
        Ok("slow".into())
    }

    fn verify(&self, _: &Secret, _: &str) -> Result<Verdict> {
        let mut state = self.state.lock().expect("no panic");
        state.1 += 1;
        state.2 = state.2.max(state.1);
        while !state.0 {
            state = self.opened.wait(state).expect("no panic");
        }
        state.1 -= 1;
        self.hashes.fetch_add(1, Ordering::SeqCst);
        Ok(Verdict::Wrong)
    }

    fn accepts(&self, _: &str) -> Result<()> {
        Ok(())
    }
}

#[test]
fn ten_thousand_logins_at_once_hash_no_more_than_allowed_and_the_rest_is_sent_away() {
    let config = AuthConfig::default();
    let allowed = config.hashes_max + config.hashes_waiting_max;
    let (hasher, audit) = (Arc::new(SlowHasher::default()), Arc::new(MemoryAudit::default()));
    let parts = Parts {
        clock: Arc::new(ManualClock::default()),
        rng: Arc::new(SeededRng::new(1)),
        hasher: hasher.clone(),
        audit,
    };
    let hashes_max = config.hashes_max;
    let auth = AuthService::open(Arc::new(MemoryStore::default()), &key(), parts, config);
    let auth = auth.expect("opens");
    let (busy, others) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 0..ATTEMPTS {
            let (auth, hasher, busy, others) = (&auth, &hasher, &busy, &others);
            let attempt = move || {
                let name = format!("nobody{number}");
                match auth.login(&name, &PASSWORD.into(), None) {
                    Err(Error::Busy) => {
                        // The last one to be sent away lets the others go on.
                        if busy.fetch_add(1, Ordering::SeqCst) + 1 == ATTEMPTS - allowed {
                            hasher.open();
                        }
                    }
                    Err(Error::Unauthenticated) => drop(others.fetch_add(1, Ordering::SeqCst)),
                    outcome => panic!("{outcome:?}"),
                }
            };
            let thread = std::thread::Builder::new().stack_size(128 << 10);
            thread.spawn_scoped(scope, attempt).expect("a small thread");
        }
    });
    assert_eq!(busy.load(Ordering::SeqCst), ATTEMPTS - allowed);
    assert_eq!(others.load(Ordering::SeqCst), allowed);
    assert_eq!(hasher.hashes.load(Ordering::SeqCst), allowed);
    assert!(hasher.state.lock().expect("no panic").2 <= hashes_max, "64 MiB each");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// With the real hasher at its floor. What is compared are medians of logins that take turns, so
/// that a busy machine slows both. A factor of two is far less than the thousandfold that a
/// missing hash would show in every round; noise would have to pass it in five rounds. For a
/// finer look set `CAIRN_TIMING_LOGINS` to thousands.
#[test]
fn an_unknown_user_takes_as_long_as_a_wrong_password() {
    let count = std::env::var("CAIRN_TIMING_LOGINS").ok().and_then(|text| text.parse().ok());
    let count: usize = count.unwrap_or(5);
    let limit = AttemptLimit { burst: u32::MAX, ..AuthConfig::default().account_limit };
    let config = AuthConfig { account_limit: limit, ..AuthConfig::default() };
    let parts = Parts {
        clock: Arc::new(SystemClock::default()),
        rng: Arc::new(SeededRng::new(1)),
        hasher: Arc::new(Argon2idHasher::new(HashParams::FLOOR).expect("the floor")),
        audit: Arc::new(MemoryAudit::default()),
    };
    let auth = AuthService::open(Arc::new(MemoryStore::default()), &key(), parts, config);
    let auth = auth.expect("opens");
    let ada = Username::new("ada").expect("valid");
    let bob = Username::new("bob").expect("valid");
    auth.create_user(&ada, &PASSWORD.into(), &"".into()).expect("creates");
    let bob = auth.create_user(&bob, &PASSWORD.into(), &"".into()).expect("creates");
    auth.disable_user(bob).expect("disables");
    let clock = SystemClock::default();
    let names = ["ada", "nobody", "bob", "no name\0"];
    let round = || {
        let mut times = names.map(|_| Vec::with_capacity(count));
        for _ in 0..count {
            for (name, times) in names.iter().zip(&mut times) {
                let before = clock.monotonic();
                let refused = auth.login(name, &"a wrong password".into(), None);
                times.push(clock.monotonic().saturating_sub(before));
                assert!(matches!(refused, Err(Error::Unauthenticated)), "{refused:?}");
            }
        }
        let medians = times.map(median);
        println!("{names:?}: {medians:?}");
        medians.iter().all(|found| *found * 2 > medians[0] && *found < medians[0] * 2)
    };
    assert!((0..5).any(|_| round()), "a name can be told by the time");
}
