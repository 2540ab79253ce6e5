//! `cairn cache` without a server; with one the tests of `cairn-cache` look at what it calls.

use crate::run;

#[test]
fn a_cache_that_is_not_there_is_unavailable_and_an_address_that_is_none_wrong_usage() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| run(dir.path(), arguments).status.code();
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let url = format!("redis://127.0.0.1:{port}");
    assert_eq!(run(&["cache", "status", "--url", &url]), Some(4));
    assert_eq!(run(&["cache", "flush", "--url", &url, "--json"]), Some(4));
    assert_eq!(run(&["cache", "status", "--url", "ftp://h"]), Some(2));
    assert_eq!(run(&["cache", "status", "--url", "https://h"]), Some(2), "it needs a token");
    assert_eq!(run(&["cache", "status", "--url", "redis-cluster://h"]), Some(3));
    assert!(!dir.path().join("data").exists(), "no store is made");
}
