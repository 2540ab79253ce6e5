//! One store with a log of its commands: the whole seam without a network.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cairn_segment::{Draft, Log, RecordDraft, RecordKind, SequenceRule, StreamScan};
use cairn_types::StreamId;

use super::{CommandSubmitter, Position, PositionedSnapshot, SnapshotProvider, Submission};
use crate::{Command, Engine, Error, Result, SnapshotAt};

/// Stream of the commands in their log; a command's sequence is its position.
const STREAM: StreamId = StreamId::new(1);

/// A store and the log of its commands, in a place of its own. Each command is on the disk
/// before it is applied, as the settings of its log say.
///
/// ```
/// use cairn_engine::{Command, CommandSubmitter, Engine, LocalReplication};
/// use cairn_types::KeyspaceName;
/// let dir = tempfile::tempdir()?;
/// let engine = Engine::open(dir.path().join("data"))?;
/// let commands = cairn_segment::Log::open(dir.path().join("commands"))?;
/// let store = LocalReplication::open(engine, commands)?;
/// let done = store.submit(&Command::CreateKeyspace { keyspace: KeyspaceName::new("users")? })?;
/// assert_eq!(done.position.get(), 1);
/// assert_eq!(store.engine().keyspaces().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LocalReplication {
    engine: Engine,
    commands: Log,
    turn: Mutex<()>,
}

impl LocalReplication {
    /// Takes over a store and the log of its commands: commands that were logged but not
    /// applied, because of a crash, are applied now.
    ///
    /// # Errors
    /// [`Error::CommandsMissing`] when the log does not reach the store's position; what
    /// [`Engine::apply`] fails with.
    pub fn open(engine: Engine, commands: Log) -> Result<Self> {
        let store = Self { engine, commands, turn: Mutex::new(()) };
        let applied = store.engine.applied_position();
        let end = store.end();
        if end > Position::START && end < applied {
            let cause = "commands that were applied are not in it";
            return Err(store.missing(cause));
        }
        for command in store.commands_after(applied) {
            let (position, command) = command?;
            store.engine.apply(position, &command)?;
        }
        Ok(store)
    }

    /// The store.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The newest command in the log, applied or not.
    #[must_use]
    pub fn end(&self) -> Position {
        Position::new(self.commands.next_sequence(STREAM).saturating_sub(1))
    }

    /// The commands after a position that the log holds.
    #[must_use]
    pub fn commands_after(&self, position: Position) -> Commands {
        Commands { scan: self.commands.scan_stream(STREAM, position.get() + 1) }
    }

    /// Logs and applies a command that was given its place elsewhere, as a follower does.
    ///
    /// # Errors
    /// [`Error::AlreadyApplied`], [`Error::CommandsMissing`] when it is not the next one; as
    /// [`submit`](CommandSubmitter::submit).
    pub fn accept(&self, position: Position, command: &Command) -> Result<Submission> {
        let _turn = self.turn();
        let applied = self.next().get() - 1;
        if position.get() <= applied {
            return Err(Error::AlreadyApplied { position: position.get(), applied });
        }
        if position.get() > applied + 1 {
            return Err(self.missing("the command that came leaves a gap"));
        }
        self.log_and_apply(position, command)
    }

    /// Only one command is logged and applied at a time.
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of the next command. A log that begins after a snapshot is empty at first.
    fn next(&self) -> Position {
        Position::new(self.end().max(self.engine.applied_position()).get() + 1)
    }

    fn missing(&self, cause: &'static str) -> Error {
        let (end, applied) = (self.end().get(), self.engine.applied_position().get());
        Error::CommandsMissing { end, applied, cause }
    }

    fn log_and_apply(&self, position: Position, command: &Command) -> Result<Submission> {
        if self.end() > self.engine.applied_position() {
            return Err(self.missing("an earlier command could not be applied; open it again"));
        }
        let bytes = Bytes::from(command.encode()?);
        // What is applied is what the log says, also after it was read again.
        let command = Command::decode(&bytes)?;
        let mut draft = Draft::new();
        let record = RecordDraft {
            sequence: SequenceRule::At(position.get()),
            ..RecordDraft::new(RecordKind::USER, STREAM)
        };
        draft.push(record, &bytes)?;
        self.commands.append(&draft)?;
        let answer = self.engine.apply(position, &command)?;
        Ok(Submission { position, answer })
    }
}

impl CommandSubmitter for LocalReplication {
    fn submit(&self, command: &Command) -> Result<Submission> {
        let _turn = self.turn();
        self.log_and_apply(self.next(), command)
    }
}

impl SnapshotProvider for LocalReplication {
    fn snapshot(&self) -> Result<PositionedSnapshot> {
        let _turn = self.turn();
        let position = self.engine.log_position()?;
        Ok(PositionedSnapshot { position, snapshot: self.engine.snapshot(SnapshotAt::Newest)? })
    }
}

/// Commands of a log in order.
#[derive(Debug)]
pub struct Commands {
    scan: StreamScan,
}

impl Iterator for Commands {
    type Item = Result<(Position, Command)>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.scan.next_record() {
            Ok(record) => record?,
            Err(error) => return Some(Err(error.into())),
        };
        let position = Position::new(record.view.sequence);
        let Some(payload) = record.payload_bytes() else {
            let cause = "a command was erased";
            return Some(Err(Error::Damaged { lsn: record.lsn, cause }));
        };
        Some(Command::decode(&payload).map(|command| (position, command)))
    }
}
