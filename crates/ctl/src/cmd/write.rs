//! `import` and `append`.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use cairndb::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{line, open};
use crate::cli::{Append, Cli, Import};

/// Events committed together by `import`.
const BATCH: usize = 1000;
/// Longest accepted line, in bytes.
const LINE_LEN_MAX: u64 = 16 << 20;

/// Appends every line of a file.
pub fn import(cli: &Cli, args: &Import, out: &mut impl Write) -> Result<()> {
    let file = File::open(&args.file).with_context(|| args.file.display().to_string())?;
    let len = file.metadata()?.len();
    let engine = open(cli)?;
    let config = TopicConfig { partitions: args.partitions, ..TopicConfig::default() };
    ensure_topic(&engine, &args.topic, config)?;
    let progress = progress_bar(len);
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let (mut batch, mut number, mut count, mut first) = (Vec::new(), 0_u64, 0_usize, 1_u64);
    // An error of the engine counts events within a batch, which nobody can see in the file.
    let lines_of = |first: u64, last: u64| format!("within lines {first} to {last}");
    let start = std::time::Instant::now();
    let path = || args.file.display().to_string();
    while let Some(text) = next_line(&mut lines, LINE_LEN_MAX).with_context(path)? {
        number += 1;
        progress.inc(text.len() as u64 + 1);
        if !text.is_empty() {
            batch.push(to_event(&text, args).with_context(|| format!("line {number}"))?);
        }
        if batch.len() == BATCH {
            let events = std::mem::take(&mut batch);
            let stored = engine.append_batch(&args.topic, &events);
            count += stored.with_context(|| lines_of(first, number))?.len();
            first = number + 1;
        }
    }
    let stored = engine.append_batch(&args.topic, &batch);
    count += stored.with_context(|| lines_of(first, number))?.len();
    engine.close()?;
    progress.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    if cli.json {
        return line(out, json!({ "topic": args.topic, "events": count }));
    }
    line(out, format!("{count} events into {} in {seconds:.2} s", args.topic))
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(len: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec}";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(len).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn ensure_topic(engine: &Engine, topic: &str, config: TopicConfig) -> Result<()> {
    let known = engine.topics().iter().any(|(name, _)| name.as_str() == topic);
    if !known {
        engine.create_topic(topic, config)?;
    }
    Ok(())
}

/// The next line without its end, at most so many bytes with it; `None` at the end of the input.
pub(super) fn next_line(input: &mut impl BufRead, len_max: u64) -> Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    let got = std::io::Read::take(&mut *input, len_max).read_until(b'\n', &mut text)?;
    if got == 0 {
        return Ok(None);
    }
    if text.last() == Some(&b'\n') {
        text.pop();
    } else if got as u64 == len_max {
        bail!("a line is longer than {len_max} bytes");
    }
    Ok(Some(text))
}

fn to_event(text: &[u8], args: &Import) -> Result<NewEvent> {
    let mut event = NewEvent::json(text.to_vec());
    if args.key.is_none() && args.time.is_none() {
        return Ok(event);
    }
    let value: Value = serde_json::from_slice(text).context("not JSON")?;
    let field = |path: &str| path.split('/').try_fold(&value, |value, part| value.get(part));
    if let Some(path) = &args.key {
        let key = field(path).with_context(|| format!("no field {path}"))?;
        event = event.with_key(match key {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
    }
    if let Some(path) = &args.time {
        let time = field(path).with_context(|| format!("no field {path}"))?;
        event = event.at(match time {
            Value::String(text) => text.parse()?,
            Value::Number(millis) => {
                let millis =
                    millis.as_i64().with_context(|| format!("{path} is no whole number"))?;
                Timestamp::from_millis(millis)
            }
            _ => bail!("{path} is neither text nor a number"),
        });
    }
    Ok(event)
}

/// Appends one event, or every line of standard input.
pub fn append(cli: &Cli, args: &Append, out: &mut impl Write) -> Result<()> {
    let engine = open(cli)?;
    ensure_topic(&engine, &args.topic, TopicConfig::default())?;
    let make = |data: Vec<u8>| {
        let json = serde_json::from_slice::<serde_json::Value>(&data).is_ok();
        let data = match (json, String::from_utf8(data)) {
            (true, Ok(text)) => EventData::json(text),
            (false, Ok(text)) => EventData::text(text),
            (_, Err(bytes)) => EventData::binary(bytes.into_bytes()),
        };
        let mut event = NewEvent::new(data);
        event.key = args.key.clone().map(Into::into);
        event.partition = args.partition.map(Partition::new);
        event
    };
    if args.stdin.is_some() {
        let mut input = std::io::stdin().lock();
        while let Some(text) = next_line(&mut input, LINE_LEN_MAX)? {
            let appended = engine.append(&args.topic, make(text))?;
            acknowledge(cli, &appended, out)?;
        }
    } else {
        let data = match (&args.data, &args.file) {
            (Some(data), _) => data.clone().into_bytes(),
            (None, Some(file)) => {
                std::fs::read(file).with_context(|| file.display().to_string())?
            }
            (None, None) => bail!("nothing to append: give --data, --file or -"),
        };
        let appended = engine.append(&args.topic, make(data))?;
        acknowledge(cli, &appended, out)?;
    }
    Ok(engine.close()?)
}

/// Prints where an event went, as soon as it is acknowledged and never before.
fn acknowledge(cli: &Cli, appended: &Appended, out: &mut impl Write) -> Result<()> {
    let Appended { topic, partition, offset, lsn, .. } = appended;
    if cli.json {
        let place = json!({
            "topic": topic.as_str(),
            "partition": partition.get(),
            "offset": offset.get(),
            "lsn": lsn.get(),
        });
        line(out, place)?;
    } else {
        line(out, format!("{topic}/{partition} offset {offset}, LSN {lsn}"))?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::next_line;

    #[test]
    fn a_line_that_is_too_long_is_refused_and_never_cut() {
        let mut input = &b"abcd\n\nabcdef\n"[..];
        assert_eq!(next_line(&mut input, 5).expect("short"), Some(b"abcd".to_vec()));
        assert_eq!(next_line(&mut input, 5).expect("short"), Some(Vec::new()));
        assert!(next_line(&mut input, 5).is_err());
        let mut input = &b"abc"[..];
        assert_eq!(next_line(&mut input, 5).expect("short"), Some(b"abc".to_vec()));
        assert_eq!(next_line(&mut input, 5).expect("the end"), None);
    }
}
