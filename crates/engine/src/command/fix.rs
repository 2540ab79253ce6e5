//! Making commands of requests: here, and only here, clock and random source are read.

use cairn_mvcc::LeaseId;
use cairn_types::{Partition, Topic};

use super::{Command, EventCommand};
use crate::append::validate;
use crate::{Engine, NewEvent, Result};

impl Engine {
    /// The command that appends events: identities, times and partitions are chosen now.
    ///
    /// # Errors
    /// [`NoTopic`](crate::Error::NoTopic), [`InvalidJson`](crate::Error::InvalidJson).
    pub fn append_command(&self, topic: &str, events: &[NewEvent]) -> Result<Command> {
        validate(events)?;
        let (topic, events) = self.fix_all(topic, events)?;
        Ok(Command::AppendEvents { topic, expect: None, events })
    }

    /// An event with everything fixed, for a transaction.
    ///
    /// # Errors
    /// As [`append_command`](Self::append_command).
    pub fn event_command(&self, topic: &str, event: &NewEvent) -> Result<(Topic, EventCommand)> {
        validate(std::slice::from_ref(event))?;
        let (topic, mut events) = self.fix_all(topic, std::slice::from_ref(event))?;
        Ok((topic, events.pop().expect("one event, one command")))
    }

    fn fix_all(&self, topic: &str, events: &[NewEvent]) -> Result<(Topic, Vec<EventCommand>)> {
        let entry = self.entry(topic)?;
        let now = self.log().clock().now();
        let fix = |event: &NewEvent| EventCommand {
            partition: entry.choose(event),
            id: event.id.unwrap_or_else(|| self.fresh_id()),
            timestamp: event.timestamp.unwrap_or(now),
            key: event.key.clone(),
            headers: event.headers.clone(),
            data: event.data.clone(),
        };
        Ok((entry.meta.name.clone(), events.iter().map(fix).collect()))
    }

    /// The command that grants a lease of `ttl` seconds under a random number.
    #[must_use]
    pub fn lease_command(&self, ttl: i64) -> Command {
        Command::LeaseGrant { id: LeaseId::random(&**self.log().rng()), ttl }
    }

    /// The commands that are due by the clock: ends of leases whose time is over, and trims of
    /// topics whose settings ask for them. One store of many submits them.
    ///
    /// # Errors
    /// The log's.
    pub fn due_commands(&self) -> Result<Vec<Command>> {
        let expired = self.keys().expired_leases();
        let mut due: Vec<Command> =
            expired.into_iter().map(|id| Command::LeaseRevoke { id, expired: true }).collect();
        let entries: Vec<_> = self.view().topics.values().cloned().collect();
        for entry in entries.iter().filter(|entry| entry.meta.config.has_retention()) {
            for number in 0..entry.meta.config.partitions {
                let partition = Partition::new(number);
                if let Some(begin) = self.begin_due(entry, entry.stream(partition)?)? {
                    let topic = entry.meta.name.clone();
                    due.push(Command::TrimPartition { topic, partition, begin });
                }
            }
        }
        Ok(due)
    }
}
