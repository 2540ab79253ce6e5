//! Subscriptions: catch up with what is there, then live, without a gap between the two.

use std::time::Duration;

use cairn_types::Event;

use crate::{Engine, Events, ReadFrom, Result};

/// Events of one or all partitions of a topic, those to come included.
#[derive(Debug)]
pub struct Subscription {
    engine: Engine,
    partitions: Vec<Events>,
    turn: usize,
}

impl Engine {
    /// Subscribes to a topic: to one partition, or to all (each in its own order).
    ///
    /// # Errors
    /// As [`events_from`](Self::events_from).
    pub fn subscribe(
        &self,
        topic: &str,
        partition: Option<u32>,
        from: ReadFrom,
    ) -> Result<Subscription> {
        let count = self.entry(topic)?.meta.config.partitions;
        let wanted = match partition {
            Some(partition) => partition..=partition,
            None => 0..=count.saturating_sub(1),
        };
        let partitions =
            wanted.map(|number| self.events_from(topic, number, from)).collect::<Result<_>>()?;
        Ok(Subscription { engine: self.clone(), partitions, turn: 0 })
    }
}

impl Subscription {
    /// The next event that is there already.
    ///
    /// # Errors
    /// As [`Events`].
    pub fn try_next(&mut self) -> Result<Option<Event>> {
        for _ in 0..self.partitions.len() {
            let turn = self.turn;
            match self.partitions[turn].next() {
                Some(event) => return event.map(Some),
                // Stay with a partition while it has events: one partition is cheapest to read.
                None => self.turn = (turn + 1) % self.partitions.len(),
            }
        }
        Ok(None)
    }

    /// The next event, waiting for it; `None` when the time is over.
    ///
    /// # Errors
    /// As [`Events`].
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Event>> {
        let clock = self.engine.log().clock().clone();
        let start = clock.monotonic();
        loop {
            // Taken before looking, so that nothing that comes meanwhile is slept through.
            let seen = self.engine.log().visible_end();
            if let Some(event) = self.try_next()? {
                return Ok(Some(event));
            }
            let left = timeout.saturating_sub(clock.monotonic().saturating_sub(start));
            if left.is_zero() || !self.engine.log().wait_for(seen, left) {
                return self.try_next();
            }
        }
    }
}
