//! What readers of a hybrid store notice when Redis is killed, stopped, and comes back: one thread
//! reads as fast as it can, another writes a thousand keys a second. Starts a Redis of its own.
//! `cargo run --release -p cairn-cache --features redis --example outage`

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cairn_cache::{HybridOptions, HybridStore, Misses, RedisClient};
use cairndb::log::LogConfig;
use cairndb::prelude::*;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

const KEYS: u64 = 10_000;
/// How long each state of the server lasts.
const PHASE: Duration = Duration::from_secs(4);
/// A read that takes longer was held up, and not only waiting for its turn on a core.
const SLOW: Duration = Duration::from_millis(10);

struct Server {
    port: u16,
    child: Child,
}

impl Server {
    fn start(port: u16) -> Outcome<Self> {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { port, child })
    }

    fn signal(&self, name: &str) -> Outcome {
        let id = self.child.id().to_string();
        Command::new("kill").args([name, &id]).status()?;
        Ok(())
    }

    fn kill(&mut self) -> Outcome {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone_already = self.kill();
    }
}

/// What one phase was like.
#[derive(Default)]
struct Seen {
    reads: u64,
    errors: u64,
    longest: Duration,
    /// From the beginning of the phase to the end of its last slow read.
    slow_until: Duration,
}

fn key(number: u64) -> String {
    format!("key/{number:08}")
}

/// Reads for the time of a phase.
fn read(runtime: &tokio::runtime::Runtime, cached: &HybridStore) -> Seen {
    let (start, mut seen, mut at) = (Instant::now(), Seen::default(), 0);
    let mut now = Duration::ZERO;
    while now < PHASE {
        at = (at + 7919) % KEYS;
        let key = key(at);
        let before = start.elapsed();
        seen.errors += u64::from(runtime.block_on(cached.get(key.as_bytes())).is_err());
        now = start.elapsed();
        let took = now.saturating_sub(before);
        seen.reads += 1;
        seen.longest = seen.longest.max(took);
        if took > SLOW {
            seen.slow_until = now;
        }
    }
    seen
}

fn tell(what: &str, seen: &Seen) {
    let Seen { reads, errors, longest, slow_until } = seen;
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let rate = *reads as f64 / PHASE.as_secs_f64() / 1e3;
    let (longest, slow_until) = (longest.as_secs_f64() * 1e3, slow_until.as_secs_f64() * 1e3);
    println!(
        "  {what}: {rate:.0} K reads/s, {errors} errors, longest {longest:.1} ms, \
         none over 10 ms after {slow_until:.0} ms"
    );
}

fn main() -> Outcome {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    let dir = tempfile::tempdir()?;
    let config = LogConfig { durability: Durability::Buffered, ..LogConfig::default() };
    let engine = Engine::open_with(dir.path().join("data"), config)?;
    engine.create_keyspace("k")?;
    let keyspace = engine.keyspace("k")?;
    keyspace.put_all((0..KEYS).map(|number| (key(number), vec![b'v'; 64])))?;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (keyspace, stop) = (keyspace.clone(), stop.clone());
        move || {
            let mut errors = 0;
            for number in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                errors += u64::from(keyspace.put(key(number % KEYS), vec![b'w'; 64]).is_err());
                std::thread::sleep(Duration::from_millis(1));
            }
            errors
        }
    });
    for misses in [Misses::Engine, Misses::Backend] {
        one(&runtime, &keyspace, misses)?;
    }
    stop.store(true, Ordering::Relaxed);
    println!("errors of the writer: {}", writer.join().expect("the writer does not panic"));
    Ok(())
}

fn one(runtime: &tokio::runtime::Runtime, keyspace: &Keyspace, misses: Misses) -> Outcome {
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let mut server = Server::start(port)?;
    let client = RedisClient::new(&format!("redis://127.0.0.1:{port}/"))?;
    let inside = runtime.enter();
    // With `Misses::Backend` the local tier is made small, so that reads do ask the server.
    let local_len_max = if misses == Misses::Backend { 200_000 } else { 64 << 20 };
    let options = HybridOptions { misses, local_len_max, ..HybridOptions::default() };
    let cached = HybridStore::new(keyspace.clone(), client.backend(), options);
    drop(inside);
    println!("misses go to: {misses:?}");
    read(runtime, &cached);
    tell("alive", &read(runtime, &cached));
    server.kill()?;
    tell("killed", &read(runtime, &cached));
    server = Server::start(server.port)?;
    tell("started again", &read(runtime, &cached));
    println!("    the cache is up again: {}", cached.is_backend_up());
    server.signal("-STOP")?;
    tell("stopped", &read(runtime, &cached));
    server.signal("-CONT")?;
    tell("goes on", &read(runtime, &cached));
    println!("    the cache is up again: {}; {:?}", cached.is_backend_up(), cached.stats());
    Ok(())
}
