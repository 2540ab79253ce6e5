//! Async entry points of a guarded handle, behind the feature `tokio`. The check and the place in
//! the log are taken together; only the wait for the disk comes after.

use cairn_auth::{Action, Resource};
use cairn_types::Event;

use super::Guarded;
use crate::{Appended, EventStream, NewEvent, ReadFrom, Result};

impl Guarded {
    /// As [`append`](Self::append), without blocking the runtime; needs `Write` on the topic.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn append_async(&self, topic: &str, event: NewEvent) -> Result<Appended> {
        let mut appended = self.append_batch_async(topic, &[event]).await?;
        Ok(appended.pop().expect("one event, one place"))
    }

    /// As [`append_batch`](Self::append_batch), without blocking the runtime. A permission that
    /// is taken away while the disk is waited for does not undo what has its place.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch).
    pub async fn append_batch_async(
        &self,
        topic: &str,
        events: &[NewEvent],
    ) -> Result<Vec<Appended>> {
        let resource = Self::topic(topic)?;
        let begin = || self.engine().begin_append(topic, events, None, None);
        let pending = self.admit(Action::Write, &resource, begin)?;
        self.engine().finish_async(pending).await
    }

    /// Events of a partition and those to come; needs `Read` on the topic, now and whenever an
    /// event is handed out.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`Engine::stream`](crate::Engine::stream).
    pub fn stream(&self, topic: &str, partition: u32, from: ReadFrom) -> Result<GuardedStream> {
        let resource = Self::topic(topic)?;
        let open = || self.engine().stream(topic, partition, from);
        let stream = self.admit(Action::Read, &resource, open)?;
        Ok(GuardedStream { guarded: self.clone(), resource, stream })
    }
}

/// Events as they come; ends with an error when its principal may no longer read, also while
/// it waits for one.
#[derive(Debug)]
pub struct GuardedStream {
    guarded: Guarded,
    resource: Resource,
    stream: EventStream,
}

impl GuardedStream {
    /// The next event, waiting for it as long as it takes. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Denied`](crate::Error::Denied), and as [`EventStream::next`].
    pub async fn next(&mut self) -> Result<Event> {
        let Self { guarded, resource, stream } = self;
        stream
            .next_by(|events| guarded.admit(Action::Read, resource, || events.next().transpose()))
            .await
    }
}
