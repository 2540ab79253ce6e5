//! `rediss://` against a real server with TLS: who is trusted, who is not, and that nothing goes
//! out in the clear. Keys and certificates are made by the command `openssl`.
//!
//! The client trusts whom the system trusts. A test cannot add to that, but the system's list can be
//! another one for a process: the tests below run in a second process with `SSL_CERT_FILE`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cairn_cache::backend::*;
use cairn_cache::{Error, RedisClient};

use crate::block_on;
use crate::redis_server::{RedisServer, free_port};

const PATIENT: Duration = Duration::from_secs(60);
/// Tells the second process where the server is.
const PORTS: &str = "CAIRN_TEST_TLS_PORTS";

/// Runs `openssl` in a directory; false, after a line that says so, when it is not there.
fn openssl(dir: &Path, line: &str) -> bool {
    let mut command = Command::new("openssl");
    let ran = command.args(line.split(' ')).current_dir(dir).stdin(Stdio::null()).output();
    match ran {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "openssl {line}: {said}");
            true
        }
        Err(_) => {
            println!("skipped: the command openssl is not installed");
            false
        }
    }
}

/// An authority with a certificate for this machine, and another authority.
fn certificates(dir: &Path) -> bool {
    let authority = |name: &str| {
        openssl(
            dir,
            &format!(
                "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {name}.key -out {name}.pem \
                 -subj /CN={name} -addext basicConstraints=critical,CA:TRUE"
            ),
        )
    };
    let names = "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n\
                 extendedKeyUsage=serverAuth\n";
    std::fs::write(dir.join("names"), names).expect("writes");
    authority("trusted")
        && authority("stranger")
        && openssl(
            dir,
            "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server",
        )
        && openssl(
            dir,
            "x509 -req -in server.csr -CA trusted.pem -CAkey trusted.key -CAcreateserial \
             -days 2 -extfile names -out server.pem",
        )
}

/// A server with TLS on a second port, and that port; `None`, after a line, when it was built
/// without.
fn start(dir: &Path) -> Option<(RedisServer, u16)> {
    let mut asked = Command::new("redis-server");
    let told = asked.args(["--port", "0", "--tls-port", "-1"]).output();
    // With TLS the number is no port; without, the option is unknown.
    let says_unknown = |said: &[u8]| String::from_utf8_lossy(said).contains("Bad directive");
    if told.is_ok_and(|told| says_unknown(&told.stdout) || says_unknown(&told.stderr)) {
        println!("skipped: this redis-server was built without TLS");
        return None;
    }
    let path = |name: &str| dir.join(name).to_str().expect("a plain path").to_owned();
    let server = RedisServer::start_more(None, || {
        let port = free_port().to_string();
        let (certificate, key) = (path("server.pem"), path("server.key"));
        let words = ["--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
        words.into_iter().chain(["--tls-auth-clients", "no"]).map(str::to_owned).collect()
    })?;
    let port = server.extra().get(1).expect("given above").parse().expect("a port");
    Some((server, port))
}

/// Runs one of the tests below, which do nothing elsewhere, in a process that trusts the authorities of a file.
fn in_a_process_that_trusts(authorities: &Path, ports: &str, test: &str) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", &format!("tls::{test}"), "--nocapture"]);
    command.env("SSL_CERT_FILE", authorities).env_remove("SSL_CERT_DIR").env(PORTS, ports);
    let output = command.output().expect("starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let ran_it = said.contains("1 passed");
    assert!(
        output.status.success() && ran_it,
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn tls_is_spoken_with_those_whom_the_system_trusts_and_with_nobody_else() {
    let dir = tempfile::tempdir().expect("a directory");
    if !certificates(dir.path()) {
        return;
    }
    let Some((server, tls)) = start(dir.path()) else { return };
    let ports = format!("{tls} {}", server.port());
    in_a_process_that_trusts(&dir.path().join("trusted.pem"), &ports, "a_trusted_server");
    in_a_process_that_trusts(&dir.path().join("stranger.pem"), &ports, "a_stranger");
}

/// The ports for TLS and without, in the second process.
fn ports() -> Option<(u16, u16)> {
    let text = std::env::var(PORTS).ok()?;
    let (tls, plain) = text.split_once(' ')?;
    Some((tls.parse().expect("a port"), plain.parse().expect("a port")))
}

fn connect(scheme: &str, host: &str, port: u16) -> RedisCache {
    let config = RedisConfig { timeout: PATIENT };
    RedisCache::new(&format!("{scheme}://{host}:{port}/1"), config).expect("an address")
}

#[test]
fn a_trusted_server() {
    let Some((tls, plain)) = ports() else { return };
    block_on(async {
        for host in ["127.0.0.1", "localhost"] {
            let cache = connect("rediss", host, tls);
            cache.ping().await.expect("answers");
            let large = bytes::Bytes::from(vec![7; 3 << 20]);
            let wrote = cache.set_if_newer(host.as_bytes(), large.clone(), 1, PATIENT).await;
            assert_eq!(wrote.expect("writes"), Written::Yes);
            let found = cache.get(host.as_bytes()).await.expect("reads").expect("there");
            assert_eq!(found.value, Some(large));
            let mut news = cache.subscribe("news").await.expect("subscribes");
            assert_eq!(cache.publish("news", "here".into()).await.expect("publishes"), 1);
            let heard = tokio::time::timeout(PATIENT, news.next()).await.expect("in time");
            assert_eq!(heard, Some(Delivery::Message("here".into())));
        }
        // The database of the address is that of the plain port.
        let same = connect("redis", "127.0.0.1", plain);
        assert!(same.get(b"localhost").await.expect("reads").is_some());
        let client = RedisClient::new(&format!("rediss://localhost:{tls}/1")).expect("an address");
        client.set_with_ttl(b"k", "v", PATIENT).await.expect("writes");
        assert_eq!(client.get(b"k").await.expect("reads").as_deref(), Some(&b"v"[..]));
        // A name that the certificate does not have, on the same server.
        let error = connect("rediss", "127.0.0.2", tls).ping().await.expect_err("another name");
        assert!(matches!(error, Error::Connect { .. }), "{error}");
        // The wrong way round has an end and never falls back. A plain server takes the greeting
        // for the beginning of a command, and waits for the rest of it.
        let config = RedisConfig { timeout: Duration::from_secs(1) };
        for (scheme, port) in [("rediss", plain), ("redis", tls)] {
            let url = format!("{scheme}://127.0.0.1:{port}/1");
            let cache = RedisCache::new(&url, config).expect("an address");
            let error = cache.ping().await.expect_err("they do not understand each other");
            let is_typed = matches!(
                error,
                Error::Connect { .. } | Error::Protocol { .. } | Error::Timeout { .. }
            );
            assert!(is_typed, "{scheme}: {error}");
        }
    });
}

#[test]
fn a_stranger() {
    let Some((tls, _)) = ports() else { return };
    block_on(async {
        let cache = connect("rediss", "localhost", tls);
        for _ in 0..2 {
            let error = cache.set_plain(b"k", "secret".into(), None).await.expect_err("refused");
            assert!(matches!(error, Error::Connect { .. }), "{error}");
        }
        let error = cache.subscribe("news").await.expect_err("refused");
        assert!(matches!(error, Error::Connect { .. }), "{error}");
    });
}
