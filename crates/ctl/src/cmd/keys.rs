//! `put`, `get`, `del`, `scan`, `count`, `history`: keys from the command line.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail};
use cairndb::keys::{self, DeleteRange, LeaseId, Order};
use cairndb::prelude::*;
use cairndb::types::limits::{MAX_KEY_LEN, MAX_PAYLOAD_LEN};
use serde_json::json;

use super::write::next_line;
use super::{line, open};
use crate::cli::Cli;
use crate::cli::keys::{Count, Del, Get, History, Put, Scan, Selection, Space};
use crate::exit::NotFound;
use crate::output::keys as show;

/// Longest value that is read from standard input.
const VALUE_LEN_MAX: u64 = MAX_PAYLOAD_LEN as u64;
/// Longest line: a key, a tab, a value, and its end.
const LINE_LEN_MAX: u64 = VALUE_LEN_MAX + MAX_KEY_LEN as u64 + 2;

/// The keyspace for writing; the default one is created when it is missing.
pub fn writable(engine: &Engine, space: &Space) -> Result<Keyspace> {
    if space.keyspace == "default" {
        engine.create_keyspace("default")?;
    }
    Ok(engine.keyspace(&space.keyspace)?)
}

/// The keyspace for reading; a default one that was never written to is not an error of use.
pub fn readable(engine: &Engine, space: &Space) -> Result<Keyspace> {
    Ok(engine.keyspace(&space.keyspace)?)
}

/// The range that a key and its options mean.
pub fn range_of(key: &str, selection: &Selection) -> Range {
    let key = key.to_owned();
    if selection.prefix {
        Range::prefix(key)
    } else if selection.from_key {
        Range::from_key(key)
    } else {
        Range::key(key)
    }
}

/// Writes one key, or every line of standard input.
pub fn put(cli: &Cli, args: &Put, out: &mut impl Write) -> Result<()> {
    let engine = open(cli)?;
    engine.maintain()?;
    let space = writable(&engine, &args.space)?;
    if args.key == "-" && args.value.is_none() && args.file.is_none() {
        put_lines(cli, args, &engine, &space, out)?;
    } else {
        let value = match (&args.value, &args.file) {
            (_, Some(file)) => std::fs::read(file).with_context(|| file.display().to_string())?,
            (Some(dash), None) if dash == "-" => {
                let mut value = Vec::new();
                std::io::stdin().lock().take(VALUE_LEN_MAX + 1).read_to_end(&mut value)?;
                value
            }
            (Some(value), None) => value.clone().into_bytes(),
            (None, None) => bail!("nothing to put: give a VALUE, --file or -"),
        };
        let put = keys::Put {
            prev_kv: args.prev,
            ..request(&space, args, args.key.clone().into_bytes(), value)
        };
        let answer = put_one(args, &engine, &space, put)?;
        if cli.json {
            let previous = answer.prev_kv.as_ref().map(show::value_of);
            line(out, json!({ "revision": answer.revision, "prev_kv": previous }))?;
        } else {
            line(out, format!("revision {}", answer.revision))?;
            if let Some(previous) = &answer.prev_kv {
                show::print(out, previous, false, false)?;
            }
        }
        out.flush()?;
    }
    Ok(engine.close()?)
}

/// Writes one key, under the fence when that was asked for.
fn put_one(
    args: &Put,
    engine: &Engine,
    space: &Keyspace,
    put: keys::Put,
) -> Result<keys::PutResponse> {
    if args.fenced {
        return Ok(super::lock::fence(engine)?.with_fence(|planner| planner.put(&put))?);
    }
    Ok(space.put_with(put)?)
}

fn request(space: &Keyspace, args: &Put, key: Vec<u8>, value: Vec<u8>) -> keys::Put {
    keys::Put::new(space.stream(), key, value).lease(LeaseId::new(args.lease))
}

/// Every line is a key and a value with a tab between; each is a revision of its own.
fn put_lines(
    cli: &Cli,
    args: &Put,
    engine: &Engine,
    space: &Keyspace,
    out: &mut impl Write,
) -> Result<()> {
    let mut input = std::io::stdin().lock();
    let mut number = 1_u64;
    let mut last = None;
    while let Some(content) =
        next_line(&mut input, LINE_LEN_MAX).with_context(|| format!("line {number}"))?
    {
        let tab = content.iter().position(|byte| *byte == b'\t');
        let tab = tab.with_context(|| format!("line {number} has no tab between key and value"))?;
        let (key, value) = (content[..tab].to_vec(), content[tab + 1..].to_vec());
        number += 1;
        let put = request(space, args, key, value);
        if cli.json || args.fenced {
            let answer = put_one(args, engine, space, put)?;
            line(out, json!({ "revision": answer.revision }))?;
            out.flush()?;
        } else {
            // Nobody hears of single lines, so one wait at the end serves them all.
            last = Some(engine.keys().submit(&[], |planner| planner.put(&put))?);
        }
    }
    if let Some(last) = last {
        engine.keys().wait(&last)?;
        line(out, format!("{} keys, revision {}", number - 1, last.revision))?;
    }
    Ok(())
}

/// Prints the value of a key, or many keys.
pub fn get(cli: &Cli, args: &Get, out: &mut impl Write) -> Result<()> {
    let engine = super::open_current(cli)?;
    let space = readable(&engine, &args.space)?;
    let single = !args.selection.prefix && !args.selection.from_key;
    let request = RangeRequest {
        keys_only: args.keys_only,
        without_count: true,
        ..RangeRequest::new(space.stream(), range_of(&args.key, &args.selection))
            .at(args.rev)
            .limit(args.limit)
    };
    let response = space.range(&request)?;
    if single {
        let Some(kv) = response.kvs.first() else {
            return Err(NotFound(format!("there is no key {}", args.key)).into());
        };
        if cli.json || args.keys_only {
            return show::print(out, kv, cli.json, args.keys_only);
        }
        // The value alone, so that it can be piped on.
        out.write_all(&kv.clone().into_value()?)?;
        return Ok(out.write_all(b"\n")?);
    }
    for kv in &response.kvs {
        show::print(out, kv, cli.json, args.keys_only)?;
    }
    Ok(())
}

/// Deletes keys.
pub fn del(cli: &Cli, args: &Del, out: &mut impl Write) -> Result<()> {
    let engine = open(cli)?;
    engine.maintain()?;
    let space = readable(&engine, &args.space)?;
    let range = range_of(&args.key, &args.selection);
    let single = range.is_single();
    let delete = DeleteRange { prev_kv: args.prev, ..DeleteRange::new(space.stream(), range) };
    let answer = if args.fenced {
        super::lock::fence(&engine)?.with_fence(|planner| planner.delete(&delete))?
    } else {
        engine.keys().delete(&delete)?
    };
    if cli.json {
        let previous: Vec<_> = answer.prev_kvs.iter().map(show::value_of).collect();
        let (deleted, revision) = (answer.deleted, answer.revision);
        line(out, json!({ "deleted": deleted, "revision": revision, "prev_kvs": previous }))?;
    } else {
        line(out, format!("deleted {}, revision {}", answer.deleted, answer.revision))?;
        for previous in &answer.prev_kvs {
            show::print(out, previous, false, false)?;
        }
    }
    engine.close()?;
    if single && answer.deleted == 0 {
        return Err(NotFound(format!("there is no key {}", args.key)).into());
    }
    Ok(())
}

/// Prints a range of keys.
pub fn scan(cli: &Cli, args: &Scan, out: &mut impl Write) -> Result<()> {
    let engine = super::open_current(cli)?;
    let space = readable(&engine, &args.space)?;
    let range = match (&args.prefix, &args.start, &args.end) {
        (Some(prefix), _, _) => Range::prefix(prefix.clone()),
        (None, None, _) => Range::all(),
        (None, Some(start), None) => Range::from_key(start.clone()),
        (None, Some(start), Some(end)) => Range::between(start.clone(), end.clone()),
    };
    if args.reverse {
        let request = RangeRequest {
            order: Order::Descend,
            keys_only: args.keys_only,
            ..RangeRequest::new(space.stream(), range).at(args.rev).limit(args.limit)
        };
        for kv in &space.range(&request)?.kvs {
            show::print(out, kv, cli.json, args.keys_only)?;
        }
        return Ok(());
    }
    let most = if args.limit == 0 { usize::MAX } else { args.limit };
    for kv in space.scan(range, args.rev)?.take(most) {
        show::print(out, &kv?, cli.json, args.keys_only)?;
    }
    Ok(())
}

/// Counts keys.
pub fn count(cli: &Cli, args: &Count, out: &mut impl Write) -> Result<()> {
    let engine = super::open_current(cli)?;
    let space = readable(&engine, &args.space)?;
    let range = args.prefix.as_ref().map_or(Range::all(), |prefix| Range::prefix(prefix.clone()));
    let request = RangeRequest::new(space.stream(), range).at(args.rev);
    let answer = space.range(&RangeRequest { count_only: true, ..request })?;
    if cli.json {
        return line(out, json!({ "count": answer.count, "revision": answer.revision }));
    }
    line(out, answer.count)
}

/// Prints every version of a key that can still be read.
pub fn history(cli: &Cli, args: &History, out: &mut impl Write) -> Result<()> {
    let engine = super::open_current(cli)?;
    let versions = readable(&engine, &args.space)?.history(&args.key)?;
    if versions.is_empty() {
        return Err(NotFound(format!("there is no key {}", args.key)).into());
    }
    for kv in &versions {
        if cli.json {
            line(out, show::value_of(kv))?;
        } else if kv.version == 0 {
            line(out, format!("{:>8}  deleted", kv.mod_revision))?;
        } else {
            let value = show::shown(kv);
            let value = String::from_utf8_lossy(&value);
            line(out, format!("{:>8}  version {:<4} {value}", kv.mod_revision, kv.version))?;
        }
    }
    Ok(())
}
