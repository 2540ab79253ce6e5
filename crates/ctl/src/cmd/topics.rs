//! `topics`, `maintain`.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use cairndb::engine::CleanKeys;
use cairndb::log::Dropped;
use cairndb::prelude::*;
use serde_json::json;

use super::{line, open};
use crate::cli::{Cli, Topics};

/// Lists topics, or creates, changes and drops them.
pub fn run(cli: &Cli, command: Option<&Topics>, out: &mut impl Write) -> Result<()> {
    let text = match command {
        None | Some(Topics::List) => return super::read::topics(cli, out),
        Some(Topics::Create { topic, partitions, by_subject }) => {
            let engine = open(cli)?;
            let (partitions, by_subject) = (*partitions, *by_subject);
            let config = TopicConfig { partitions, by_subject, ..TopicConfig::default() };
            let new = engine.create_topic(topic, config)?;
            engine.close()?;
            if new { "created".to_owned() } else { "exists already".to_owned() }
        }
        Some(Topics::Set { topic, retain_age, retain_bytes, latest_by_key }) => {
            let engine = open(cli)?;
            let config = engine.set_retention(topic, |config| {
                if let Some(seconds) = retain_age {
                    config.max_age = Some(Duration::from_secs(*seconds)).filter(|_| *seconds > 0);
                }
                if let Some(bytes) = retain_bytes {
                    config.max_len = Some(*bytes).filter(|_| *bytes > 0);
                }
                config.latest_by_key = latest_by_key.unwrap_or(config.latest_by_key);
            })?;
            engine.close()?;
            let age = config.max_age.map_or("for ever".to_owned(), |age| format!("{age:?}"));
            let len = config.max_len.map_or("all".to_owned(), |len| format!("{len}"));
            let by_key = config.latest_by_key;
            format!("{topic}: kept {age}, bytes {len}, newest of each key only: {by_key}")
        }
        Some(Topics::Drop { topic }) => {
            let engine = open(cli)?;
            engine.drop_topic(topic)?;
            engine.close()?;
            "dropped".to_owned()
        }
    };
    if cli.json { line(out, json!({ "done": text })) } else { line(out, text) }
}

/// Applies retention and ends leases whose time is over.
pub fn maintain(cli: &Cli, reclaim: bool, out: &mut impl Write) -> Result<()> {
    let engine = open(cli)?;
    let leases = engine.maintain()?;
    let retained = engine.retain_topics()?;
    let keys = engine.clean_keyspaces(&CleanKeys::default())?;
    let reclaimed = if reclaim { engine.reclaim()? } else { Dropped::default() };
    engine.close()?;
    let (trimmed, segments) =
        (retained.trimmed_count, retained.dropped.segment_count + reclaimed.segment_count);
    let records =
        retained.cleaned.dropped_count + retained.cleaned.erased_count + keys.dropped_count;
    if cli.json {
        return line(
            out,
            json!({
                "leases_ended": leases, "partitions_trimmed": trimmed,
                "records_cleaned": records, "segments_dropped": segments,
            }),
        );
    }
    line(
        out,
        format!(
            "{leases} leases ended, {trimmed} partitions trimmed, {records} records cleaned, {segments} segments dropped"
        ),
    )
}
