//! Async entry points, behind the feature `tokio`. The core stays synchronous: an append is
//! prepared and given its place by the calling task, and only the wait for the disk happens on
//! a thread where blocking is allowed. Waits of many tasks share one sync (group commit).

use std::sync::Arc;

use cairn_segment::ListenerGuard;
use cairn_types::Event;
use tokio::sync::Notify;

use crate::append::Pending;
use crate::{Appended, Engine, Error, Events, NewEvent, ReadFrom, Result};

impl Engine {
    /// As [`append`](Self::append), without blocking the runtime.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn append_async(&self, topic: &str, event: NewEvent) -> Result<Appended> {
        let mut appended = self.append_batch_async(topic, &[event]).await?;
        Ok(appended.pop().expect("one event, one place"))
    }

    /// As [`append_batch`](Self::append_batch), without blocking the runtime. When the future is
    /// dropped the events may still be stored.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch).
    pub async fn append_batch_async(
        &self,
        topic: &str,
        events: &[NewEvent],
    ) -> Result<Vec<Appended>> {
        let pending = self.begin_append(topic, events, None, None)?;
        self.finish_async(pending).await
    }

    pub(crate) async fn finish_async(&self, pending: Pending) -> Result<Vec<Appended>> {
        let engine = self.clone();
        let waiting = tokio::task::spawn_blocking(move || engine.finish_append(pending));
        // The closure does not panic; a runtime that shuts down cancels it.
        waiting.await.unwrap_or(Err(Error::Log(cairn_segment::Error::Closed)))
    }

    /// Events of a partition from anywhere on, and those to come.
    ///
    /// # Errors
    /// As [`events_from`](Self::events_from).
    pub fn stream(&self, topic: &str, partition: u32, from: ReadFrom) -> Result<EventStream> {
        let moved = Arc::new(Notify::new());
        let told = moved.clone();
        let guard = self.log().on_advance(Box::new(move |_| told.notify_waiters()));
        let events = self.events_from(topic, partition, from)?;
        Ok(EventStream { events, moved, _guard: guard })
    }
}

/// Events as they come, for async readers.
#[derive(Debug)]
pub struct EventStream {
    events: Events,
    moved: Arc<Notify>,
    _guard: ListenerGuard,
}

impl EventStream {
    /// The next event, waiting for it as long as it takes. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Events`].
    pub async fn next(&mut self) -> Result<Event> {
        self.next_by(|events| events.next().transpose()).await
    }

    /// The next event that `look` gives, which is asked again whenever the log has moved.
    pub(crate) async fn next_by(
        &mut self,
        mut look: impl FnMut(&mut Events) -> Result<Option<Event>>,
    ) -> Result<Event> {
        loop {
            // Made before looking, so that nothing that comes meanwhile is slept through.
            let moved = self.moved.notified();
            if let Some(event) = look(&mut self.events)? {
                return Ok(event);
            }
            moved.await;
        }
    }
}
