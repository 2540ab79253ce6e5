//! A group of servers behind sentinels: the one that takes writes dies, another takes over, and
//! whoever has the address of the sentinels goes on. Against real ones.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cairn_cache::backend::*;
use cairn_cache::*;

use crate::block_on;
use crate::hybrid::{PATIENT, engine, until};
use crate::redis_server::{RedisServer, encode, free_port};

/// A running sentinel. It is killed when dropped.
struct Sentinel {
    port: u16,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _gone_already = (self.child.kill(), self.child.wait());
    }
}

/// Sends a command and gives all of the answer that came.
fn say(port: u16, words: &[&str]) -> String {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else {
        return String::new();
    };
    let mut answer = [0; 4096];
    let asked = stream.write_all(&encode(words)).and_then(|()| stream.read(&mut answer));
    String::from_utf8_lossy(&answer[..asked.unwrap_or(0)]).into_owned()
}

async fn until_said(what: &str, port: u16, words: &[&str], part: &str) {
    until(what, || say(port, words).contains(part)).await;
}

/// A sentinel that watches a group by the name `main`.
async fn watch(server: &RedisServer) -> Sentinel {
    let (port, dir) = (free_port(), tempfile::tempdir().expect("a directory"));
    let conf = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {} 1\n\
         sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 3000\n",
        dir.path().display(),
        server.port()
    );
    let path = dir.path().join("sentinel.conf");
    std::fs::write(&path, conf).expect("writes");
    let mut command = Command::new("redis-server");
    command.arg(&path).arg("--sentinel").stdout(Stdio::null()).stderr(Stdio::null());
    let sentinel = Sentinel { port, child: command.spawn().expect("starts"), _dir: dir };
    until_said("the sentinel is there", port, &["PING"], "PONG").await;
    let replicas = ["SENTINEL", "REPLICAS", "main"];
    until_said("it knows the other server", port, &replicas, "master-link-status").await;
    sentinel
}

#[test]
fn another_server_takes_over_and_nothing_old_is_read() {
    let Some(mut first) = RedisServer::start() else { return };
    let port = first.port().to_string();
    let replica_of = || ["--replicaof", "127.0.0.1", &port].map(str::to_owned).to_vec();
    let second = RedisServer::start_more(None, replica_of).expect("there is a redis-server");
    block_on(async {
        until_said("it follows", first.port(), &["WAIT", "1", "100"], ":1").await;
        let sentinel = watch(&first).await;
        // The first of the sentinels is not there.
        let hosts = format!("127.0.0.1:1,127.0.0.1:{}", sentinel.port);
        let config = RedisConfig { timeout: Duration::from_secs(5) };
        let through = RedisCache::new(&format!("redis-sentinel://{hosts}/main/2"), config);
        let through = Arc::new(through.expect("an address"));
        assert!(through.describe().contains("main of sentinels"), "{}", through.describe());
        let mut news = through.subscribe("news").await.expect("subscribes");
        let (_dir, _engine, keyspace) = engine();
        let options = HybridOptions { misses: Misses::Backend, ..HybridOptions::default() };
        let cached = HybridStore::new(keyspace, through.clone(), options);
        let reader = CacheReader::new(through.clone(), "default", "k", PATIENT);
        until("the cache is up", || cached.is_backend_up()).await;
        let before = cached.put("a", "before").await.expect("writes");
        assert!(cached.settled(before, PATIENT).await);
        let known = reader.get(b"a").await.expect("reads");
        assert_eq!(known.answer, Lookup::Value("before".into()));
        let epochs = cached.stats().epochs;

        first.kill();
        let last = cached.put("a", "after").await.expect("writes without a cache");
        assert_eq!(cached.get(b"a").await.expect("reads").as_deref(), Some(&b"after"[..]));
        assert!(cached.settled(last, PATIENT).await, "another server is kept up to date");
        assert!(cached.stats().epochs > epochs);
        assert!(say(second.port(), &["ROLE"]).contains("master"), "it is the second one");
        let known = reader.get(b"a").await.expect("reads");
        assert_ne!(known.answer, Lookup::Value("before".into()));
        assert!(known.revision >= last);
        let gap = tokio::time::timeout(PATIENT, news.next()).await.expect("in time");
        assert_eq!(gap, Some(Delivery::Gap));
        while through.publish("news", "x".into()).await.ok() != Some(1) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn sentinels_that_are_not_there_or_do_not_know_the_name_are_a_typed_error() {
    let Some(server) = RedisServer::start() else { return };
    let connect = |hosts: &str| {
        let config = RedisConfig { timeout: PATIENT };
        let url = format!("redis-sentinel://:hidden@{hosts}/main");
        RedisCache::new(&url, config).expect("an address")
    };
    block_on(async {
        // Nobody; and a plain server, which knows no such command.
        for hosts in ["127.0.0.1:1,127.0.0.1:2", &format!("127.0.0.1:{}", server.port())] {
            let error = connect(hosts).ping().await.expect_err("nobody knows");
            assert!(matches!(error, Error::Connect { .. }), "{error}");
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
    });
}
