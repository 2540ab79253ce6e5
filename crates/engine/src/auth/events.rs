//! Events as one principal may read them: checked for every event that is handed out, so that
//! reading ends when the permission does.

use std::time::Duration;

use cairn_auth::{Action, Resource};
use cairn_types::{Event, Offset};

use super::Guarded;
use crate::{Consumer, Events, ReadFrom, Result, Subscription};

impl Guarded {
    /// Events of a partition from an offset on; needs `Read` on the topic.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Engine::events`](crate::Engine::events).
    pub fn events(&self, topic: &str, partition: u32, from: u64) -> Result<GuardedEvents> {
        self.events_from(topic, partition, ReadFrom::Offset(Offset::new(from)))
    }

    /// Events of a partition from anywhere on; needs `Read` on the topic.
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub fn events_from(
        &self,
        topic: &str,
        partition: u32,
        from: ReadFrom,
    ) -> Result<GuardedEvents> {
        let resource = Self::topic(topic)?;
        let open = || self.engine().events_from(topic, partition, from);
        let events = self.admit(Action::Read, &resource, open)?;
        Ok(GuardedEvents { guarded: self.clone(), resource, events })
    }

    /// The newest events of a partition; needs `Read` on the topic.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Engine::newest`](crate::Engine::newest).
    pub fn newest(
        &self,
        topic: &str,
        partition: u32,
        before: Option<Offset>,
        count: usize,
    ) -> Result<Vec<Event>> {
        let resource = Self::topic(topic)?;
        let read = || self.engine().newest(topic, partition, before, count);
        self.admit(Action::Read, &resource, read)
    }

    /// One event; needs `Read` on the topic.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Engine::event`](crate::Engine::event).
    pub fn event(&self, topic: &str, partition: u32, offset: u64) -> Result<Event> {
        let resource = Self::topic(topic)?;
        self.admit(Action::Read, &resource, || self.engine().event(topic, partition, offset))
    }

    /// Subscribes to a topic; needs `Read` on it.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Engine::subscribe`](crate::Engine::subscribe).
    pub fn subscribe(
        &self,
        topic: &str,
        partition: Option<u32>,
        from: ReadFrom,
    ) -> Result<GuardedSubscription> {
        let resource = Self::topic(topic)?;
        let open = || self.engine().subscribe(topic, partition, from);
        let subscription = self.admit(Action::Read, &resource, open)?;
        Ok(GuardedSubscription { guarded: self.clone(), resource, subscription })
    }

    /// Reads a topic for a group; needs `Read` on the topic.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Engine::consumer`](crate::Engine::consumer).
    pub fn consumer(&self, group: &str, topic: &str) -> Result<GuardedConsumer> {
        let resource = Self::topic(topic)?;
        let consumer =
            self.admit(Action::Read, &resource, || self.engine().consumer(group, topic))?;
        Ok(GuardedConsumer { guarded: self.clone(), resource, consumer })
    }
}

/// Events of a partition; ends with an error when its principal may no longer read.
#[derive(Debug)]
pub struct GuardedEvents {
    guarded: Guarded,
    resource: Resource,
    events: Events,
}

impl Iterator for GuardedEvents {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { guarded, resource, events } = self;
        guarded.admit(Action::Read, resource, || events.next().transpose()).transpose()
    }
}

/// A subscription that ends with an error when its principal may no longer read.
#[derive(Debug)]
pub struct GuardedSubscription {
    guarded: Guarded,
    resource: Resource,
    subscription: Subscription,
}

impl GuardedSubscription {
    /// The next event that is there already.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Subscription::try_next`].
    pub fn try_next(&mut self) -> Result<Option<Event>> {
        let Self { guarded, resource, subscription } = self;
        guarded.admit(Action::Read, resource, || subscription.try_next())
    }

    /// The next event, waiting for it; `None` when the time is over.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Event>> {
        let clock = self.guarded.engine().log().clock().clone();
        let start = clock.monotonic();
        loop {
            let seen = self.guarded.engine().log().visible_end();
            if let Some(event) = self.try_next()? {
                return Ok(Some(event));
            }
            let left = timeout.saturating_sub(clock.monotonic().saturating_sub(start));
            // Nobody is admitted while waiting, so that a change of permissions need not wait.
            if left.is_zero() || !self.guarded.engine().log().wait_for(seen, left) {
                return self.try_next();
            }
        }
    }
}

/// A group's reader that is refused when its principal may no longer read.
#[derive(Debug)]
pub struct GuardedConsumer {
    guarded: Guarded,
    resource: Resource,
    consumer: Consumer,
}

impl GuardedConsumer {
    /// Up to `count` events that are there already.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Consumer::poll`].
    pub fn poll(&mut self, count: usize) -> Result<Vec<Event>> {
        let Self { guarded, resource, consumer } = self;
        guarded.admit(Action::Read, resource, || consumer.poll(count))
    }

    /// Commits everything handed out so far.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Consumer::commit`].
    pub fn commit(&mut self) -> Result<()> {
        let Self { guarded, resource, consumer } = self;
        guarded.admit(Action::Read, resource, || consumer.commit())
    }
}
