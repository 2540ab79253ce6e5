//! `read`, `tail`, `topics`, `groups`, `export`.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use cairndb::prelude::*;
use serde_json::json;

use super::{line, open_following, open_read_only, vfs};
use crate::cli::{Cli, Read, Tail};
use crate::exit::NotFound;
use crate::output;

/// Prints events of a partition.
pub fn read(cli: &Cli, args: &Read, out: &mut impl Write) -> Result<()> {
    let engine = open_read_only(cli)?;
    let from = match &args.from {
        None => From::Earliest,
        Some(text) => match text.parse::<u64>() {
            Ok(offset) => From::Offset(Offset::new(offset)),
            Err(_) => From::Time(text.parse().context("--from takes an offset or a time")?),
        },
    };
    let events = engine.events_from(&args.topic, args.partition, from)?;
    for event in events.take(args.limit.unwrap_or(usize::MAX)) {
        output::event(out, &event?, cli.json)?;
    }
    Ok(())
}

/// Prints the newest events, and those to come.
pub fn tail(cli: &Cli, args: &Tail, out: &mut impl Write) -> Result<()> {
    use cairndb::vfs::Vfs;
    let (engine, pass) = open_following(cli)?;
    // Watching begins before reading, so nothing falls between the two.
    let mut watcher = vfs(cli)?.watch("log")?;
    let mut newest = engine.newest(&args.topic, args.partition, None, args.limit)?;
    newest.reverse();
    let mut next = engine.next_offset(&args.topic, args.partition)?;
    for event in &newest {
        output::event(out, event, cli.json)?;
    }
    out.flush()?;
    if !args.follow {
        return Ok(());
    }
    loop {
        engine.refresh()?;
        pass.still_holds()?;
        let mut events = engine.events_from(&args.topic, args.partition, From::Offset(next))?;
        for event in events.by_ref() {
            output::event(out, &event?, cli.json)?;
        }
        next = next.max(events.position());
        out.flush()?;
        watcher.wait(Duration::from_secs(60))?;
    }
}

/// Lists topics.
pub fn topics(cli: &Cli, out: &mut impl Write) -> Result<()> {
    let engine = open_read_only(cli)?;
    for (name, _) in engine.topics() {
        let stats = engine.topic_stats(name.as_str())?;
        let (events, partitions) = (stats.event_count(), stats.partitions.len());
        if cli.json {
            let topic =
                json!({ "topic": name.as_str(), "partitions": partitions, "events": events });
            line(out, topic)?;
        } else {
            line(out, format!("{name:<30} {partitions:>3} partitions {events:>10} events"))?;
        }
    }
    Ok(())
}

/// Lists groups with their lag.
pub fn groups(cli: &Cli, out: &mut impl Write) -> Result<()> {
    let engine = open_read_only(cli)?;
    for group in engine.groups() {
        for (topic, _) in engine.topics() {
            for lag in engine.lag(group.as_str(), topic.as_str())? {
                let (partition, next) = (lag.partition, lag.next.get());
                // A program may commit an offset that no event has yet.
                let behind = lag.end.get().saturating_sub(next);
                if engine.committed(group.as_str(), topic.as_str(), partition.get())?.is_none() {
                    continue;
                }
                if cli.json {
                    line(
                        out,
                        json!({
                            "group": group.as_str(), "topic": topic.as_str(),
                            "partition": partition.get(), "next": next, "lag": behind,
                        }),
                    )?;
                } else {
                    line(out, format!("{group} {topic}/{partition} next {next}, {behind} behind"))?;
                }
            }
        }
    }
    Ok(())
}

/// Prints all events of a topic.
pub fn export(cli: &Cli, topic: &str, out: &mut impl Write) -> Result<()> {
    let engine = open_read_only(cli)?;
    let mut out = std::io::BufWriter::new(out);
    let known = engine.topics().into_iter().find(|(name, _)| name.as_str() == topic);
    let (_, config) = known.ok_or_else(|| NotFound(format!("there is no topic {topic}")))?;
    for partition in 0..config.partitions {
        for event in engine.events(topic, partition, 0)? {
            output::event(&mut out, &event?, true)?;
        }
    }
    Ok(out.flush()?)
}
