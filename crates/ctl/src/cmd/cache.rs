//! `cache status` and `cache flush`. They need no store.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cairn_cache::{CacheReader, Error, RedisClient, flush_namespace};
use serde_json::json;
use tokio::runtime::Runtime;

use super::line;
use crate::cli::Cli;
use crate::cli::cache::{Cache, Place};

/// Runs a command about a cache.
pub fn run(cli: &Cli, command: &Cache, out: &mut impl Write) -> Result<()> {
    match command {
        Cache::Status { place, keyspace } => status(cli, place, keyspace.as_deref(), out),
        Cache::Flush { place } => {
            let client = client(place)?;
            let removed =
                runtime()?.block_on(flush_namespace(&*client.backend(), &place.namespace))?;
            let object = json!({ "namespace": place.namespace, "removed": removed });
            let text = format!("{removed} entries of namespace {} removed", place.namespace);
            say(cli, text, &object, out)
        }
    }
}

fn client(place: &Place) -> Result<RedisClient> {
    Ok(match &place.token {
        Some(token) => RedisClient::with_token(&place.url, token)?,
        None => RedisClient::new(&place.url)?,
    })
}

fn runtime() -> Result<Runtime> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().context("starting a runtime")
}

fn say(cli: &Cli, text: String, object: &serde_json::Value, out: &mut impl Write) -> Result<()> {
    if cli.json { line(out, object) } else { line(out, text) }
}

fn status(cli: &Cli, place: &Place, keyspace: Option<&str>, out: &mut impl Write) -> Result<()> {
    let client = client(place)?;
    let backend = client.backend();
    let start = Instant::now();
    // One runtime for all calls: the connection lives in it.
    let runtime = runtime()?;
    runtime.block_on(backend.ping())?;
    // Connecting included: what the first caller pays.
    let answered_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let what = backend.describe();
    let text = format!("{what} answers, in {answered_us} us with connecting");
    say(cli, text, &json!({ "cache": what, "answered_us": answered_us }), out)?;
    let Some(keyspace) = keyspace else { return Ok(()) };
    let reader = CacheReader::new(backend, &place.namespace, keyspace, Duration::MAX);
    match runtime.block_on(reader.get(b"")) {
        Ok(known) => {
            let (revision, age) = (known.revision, known.age.as_secs_f64());
            let object = json!({ "keyspace": keyspace, "revision": revision, "age": age });
            say(cli, format!("{keyspace}: revision {revision}, {age:.3} s ago"), &object, out)
        }
        Err(Error::TooOld { .. }) => {
            let object = json!({ "keyspace": keyspace, "revision": null, "age": null });
            say(cli, format!("{keyspace}: nobody keeps it up to date"), &object, out)
        }
        Err(error) => Err(error.into()),
    }
}
