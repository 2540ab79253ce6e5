//! A Redis that dies, or is paused, at every single message in turn: whatever it was doing when it
//! happened, nothing stale is read, no call of the hybrid store fails, and afterwards it goes on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use cairn_cache::backend::*;
use cairn_cache::*;
use cairndb::vfs::SystemClock;

use crate::block_on;
use crate::hybrid::{PATIENT, engine};
use crate::redis_server::RedisServer;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// `kill -9` before the message is passed on, and a new start.
    KilledBefore,
    /// The same after it: the answer is lost, or half of it.
    KilledAfter,
    /// `SIGSTOP` before the message; it is carried out when the server goes on.
    Paused,
}

/// Passes on what clients send, and lets the server fail at one of the messages.
struct Proxy {
    /// The test has it, so that it ends with the test.
    server: Weak<Mutex<RedisServer>>,
    seen: AtomicU64,
    fail_at: u64,
    fault: Fault,
    fired: AtomicBool,
}

impl Proxy {
    fn server<T>(&self, act: impl FnOnce(&mut RedisServer) -> T) -> Option<T> {
        let server = self.server.upgrade()?;
        let mut server = server.lock().expect("not poisoned");
        Some(act(&mut server))
    }

    /// Starts it; its port.
    fn start(self: &Arc<Self>) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let server_port = self.server(|server| server.port()).expect("the test has it");
        let proxy = self.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)) else { continue };
                let proxy = proxy.clone();
                std::thread::spawn(move || proxy.pass(client, server));
            }
        });
        port
    }

    fn pass(&self, mut client: TcpStream, mut server: TcpStream) {
        let (mut answers, mut to) = match (server.try_clone(), client.try_clone()) {
            (Ok(answers), Ok(to)) => (answers, to),
            _ => return,
        };
        std::thread::spawn(move || {
            let _broken = std::io::copy(&mut answers, &mut to);
            let _gone = to.shutdown(Shutdown::Both);
        });
        let mut message = vec![0; 64 << 10];
        while let Ok(len @ 1..) = client.read(&mut message) {
            let is_it = self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.fail_at;
            if is_it {
                self.fired.store(true, Ordering::SeqCst);
            }
            let fail = |fault| is_it && self.fault == fault;
            if fail(Fault::KilledBefore) {
                self.server(RedisServer::restart);
            }
            if fail(Fault::Paused) {
                self.server(|server| server.pause());
            }
            if server.write_all(&message[..len]).is_err() {
                break;
            }
            if fail(Fault::KilledAfter) {
                self.server(RedisServer::restart);
            }
        }
        let _gone = (server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
    }
}

/// What else goes to the server: it may fail, but with an error in time.
async fn others(backend: Arc<dyn CacheBackend>, number: u64) {
    let lock = AdvisoryLock::try_take(backend.clone(), "job", PATIENT).await;
    if let Ok(Some(lock)) = lock {
        let _either = lock.extend().await;
        let _either = lock.release().await;
    }
    let rate = Rate::with_burst(1, Duration::from_secs(60), 1000).expect("a rate");
    let limiter = SharedRateLimiter::new(rate, backend.clone(), "phases")
        .with_fallback(RateLimiter::new(rate, Arc::new(SystemClock::default())));
    let decision = limiter.check(format!("user {number}").as_bytes()).await;
    assert!(decision.expect("falls back").allowed);
    let _either = backend.publish("news", "x".into()).await;
}

/// One life of a store; whether the fault was reached.
async fn live(proxy: &Arc<Proxy>) -> bool {
    let config = RedisConfig { timeout: Duration::from_millis(40) };
    let through = RedisCache::new(&format!("redis://127.0.0.1:{}", proxy.start()), config);
    let through: Arc<dyn CacheBackend> = Arc::new(through.expect("an address"));
    let (_dir, _engine, keyspace) = engine();
    let breaker = BreakerConfig {
        pause_min: Duration::from_millis(2),
        pause_max: Duration::from_millis(20),
        ..BreakerConfig::default()
    };
    let options = HybridOptions {
        misses: Misses::Backend,
        read_limit: Duration::from_millis(30),
        write_wait: Duration::from_millis(5),
        heartbeat: Duration::from_millis(5),
        breaker,
        ..HybridOptions::default()
    };
    let cached = HybridStore::new(keyspace.clone(), through.clone(), options);
    let reader = CacheReader::new(through.clone(), "default", "k", PATIENT);
    for number in 0..4_u64 {
        let key = format!("key {}", number % 2);
        let read = async || cached.get(key.as_bytes()).await.expect("no error of the cache's");
        let put = cached.put(key.clone(), format!("a{number}")).await.expect("writes");
        assert_eq!(read().await.as_deref(), Some(format!("a{number}").as_bytes()));
        if let Ok(Known { answer: Lookup::Value(value), revision, .. }) =
            reader.get(key.as_bytes()).await
        {
            assert!(revision < put || value == format!("a{number}"), "{value:?} at {revision}");
        }
        keyspace.put(key.clone(), format!("b{number}")).expect("writes past the cache");
        cached.clear_local();
        assert_eq!(read().await.as_deref(), Some(format!("b{number}").as_bytes()));
        others(through.clone(), number).await;
        cached.delete(key.clone()).await.expect("deletes");
        cached.clear_local();
        assert_eq!(read().await, None);
    }
    let fired = proxy.fired.load(Ordering::SeqCst);
    if proxy.fault == Fault::Paused && fired {
        proxy.server(|server| server.resume());
    }
    // What was sent to a paused server is carried out late; it must land where nobody looks.
    let last = cached.put("key 0", "last").await.expect("writes");
    assert!(cached.settled(last, PATIENT).await, "it is kept up to date again");
    for _ in 0..3 {
        let known = match reader.get(b"key 0").await {
            Ok(known) => known,
            Err(_) => continue,
        };
        let is_newest = matches!(&known.answer, Lookup::Value(value) if value == "last");
        let knows_none = known.answer == Lookup::Unknown;
        assert!(is_newest || knows_none || known.revision < last, "{known:?}");
    }
    fired
}

#[test]
fn redis_may_die_or_stop_at_any_message() {
    for fault in [Fault::KilledBefore, Fault::KilledAfter, Fault::Paused] {
        let mut reached = 0;
        for fail_at in 1..=30 {
            let Some(server) = RedisServer::start() else { return };
            let (seen, fired) = (AtomicU64::new(0), AtomicBool::new(false));
            let server = Arc::new(Mutex::new(server));
            let proxy = Proxy { server: Arc::downgrade(&server), seen, fail_at, fault, fired };
            let proxy = Arc::new(proxy);
            reached += u32::from(block_on(live(&proxy)));
        }
        assert!(reached >= 25, "{fault:?} at {reached} messages");
    }
}
