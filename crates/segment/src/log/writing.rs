//! The writing half of a log.

use std::sync::Arc;

use cairn_codec::{CodecId, Draft};
use cairn_types::{Lsn, StreamId};

use super::Log;
use crate::append::{Append, Appended, Expect, Ticket};
use crate::{Error, Result};

impl Log {
    pub(crate) fn writer(&self) -> Result<&Arc<Append>> {
        self.shared.append.as_ref().ok_or(Error::ReadOnly)
    }

    /// Compresses the draft's payloads with the log's codec; part of preparing it, outside
    /// every lock. Drafts that their owner compressed are left as they are.
    ///
    /// # Errors
    /// [`Error::Codec`].
    pub fn prepare(&self, draft: &mut Draft) -> Result<()> {
        let compression = self.shared.store.config.compression;
        if compression.id() != CodecId::NONE && !draft.is_compressed() {
            draft.compress(&*self.shared.store.registry.writer(compression)?)?;
        }
        Ok(())
    }

    /// Appends a batch and waits until it is as durable as the log's settings ask for.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::TooLarge`], [`Error::Invalid`] and
    /// [`Error::SequenceConflict`] (a chosen sequence that was passed already) leave the log as it
    /// was; after [`Error::Poisoned`] it must be opened again, and whether the batch is in it shows
    /// then.
    pub fn append(&self, draft: &Draft) -> Result<Appended> {
        let append = self.writer()?;
        let ticket = append.submit(draft, &[])?;
        append.wait(&ticket)?;
        Ok(ticket.appended)
    }

    /// As [`append`](Self::append), if every stream named is at the sequence expected.
    ///
    /// # Errors
    /// [`Error::SequenceConflict`] when one is not; nothing was appended then.
    pub fn append_expecting(&self, draft: &Draft, expect: &[Expect]) -> Result<Appended> {
        let append = self.writer()?;
        let ticket = append.submit(draft, expect)?;
        append.wait(&ticket)?;
        Ok(ticket.appended)
    }

    /// Gives a batch its place without waiting for the disk. Readers see it once it is as
    /// durable as the log's settings ask for, which somebody has to [`wait`](Self::wait) for.
    ///
    /// # Errors
    /// As [`append_expecting`](Self::append_expecting).
    pub fn submit(&self, draft: &Draft, expect: &[Expect]) -> Result<Ticket> {
        self.writer()?.submit(draft, expect)
    }

    /// Waits until a submitted batch is as durable as the log's settings ask for.
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn wait(&self, ticket: &Ticket) -> Result<()> {
        self.writer()?.wait(ticket)
    }

    /// Waits until everything that was submitted before an LSN is as durable as the log's
    /// settings ask for, and readers see it.
    ///
    /// # Errors
    /// [`Error::Poisoned`]; [`Error::ReadOnly`] when somebody else would have to write it.
    pub fn wait_through(&self, end: Lsn) -> Result<()> {
        if self.visible_end() >= end {
            return Ok(());
        }
        self.writer()?.wait_through(end)
    }

    /// Waits until a submitted batch is on the disk, whatever the log's settings.
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn wait_sync(&self, ticket: &Ticket) -> Result<()> {
        self.writer()?.wait_durable(ticket)
    }

    /// Syncs everything that was submitted.
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn sync(&self) -> Result<()> {
        self.writer()?.sync()
    }

    /// Appends a checkpoint record now and waits for it.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn checkpoint(&self) -> Result<Appended> {
        let append = self.writer()?;
        let ticket = append.submit_checkpoint()?;
        append.wait(&ticket)?;
        Ok(ticket.appended)
    }

    /// Does what the background thread would do: syncs when that is due. For owners who run
    /// the log without a thread.
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn maintain(&self) -> Result<()> {
        let append = self.writer()?;
        if append.sync_is_due() { append.sync_behind() } else { Ok(()) }
    }

    /// Sequence that the next record of a stream will get. On a log opened for reading only: the
    /// one after the last record it sees, 0 also when an index cannot be read.
    #[must_use]
    pub fn next_sequence(&self, stream: StreamId) -> u64 {
        match &self.shared.append {
            Some(append) => append.lock().next_sequence.get(&stream).copied().unwrap_or(0),
            None => self.visible_next_sequence(stream).unwrap_or(0),
        }
    }

    /// Ends the active segment; the next append begins another.
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn roll(&self) -> Result<()> {
        self.writer()?.roll_now()
    }

    /// Writes, syncs and seals everything, so that the next open has nothing to recover.
    /// Dropping the last handle does the same, but cannot report a failure.
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn close(&self) -> Result<()> {
        self.shared.background.stop();
        match &self.shared.append {
            Some(append) => append.close(),
            None => Ok(()),
        }
    }
}
