//! What can go wrong with topics and events.

use cairn_types::{ErrorKind, InvalidName, KeyspaceName, Lsn, Offset, Partition, Topic};

/// Result of an engine operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of the engine.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such topic.
    #[error("there is no topic {topic}; create it first")]
    NoTopic {
        /// Its name.
        topic: Topic,
    },
    /// The topic exists with other settings.
    #[error("topic {topic} exists already with other settings")]
    TopicExists {
        /// Its name.
        topic: Topic,
    },
    /// The keyspace exists with other settings.
    #[error(
        "keyspace {keyspace} exists already; the log keeps its records {retention}, and its \
         values are {}sealed by subject", if *by_subject { "" } else { "not " }
    )]
    KeyspaceExists {
        /// Its name.
        keyspace: KeyspaceName,
        /// What the log keeps of it.
        retention: crate::KeyspaceRetention,
        /// Whether its values are sealed by subject.
        by_subject: bool,
    },
    /// The topic has no such partition.
    #[error("topic {topic} has {count} partitions, there is no partition {partition}")]
    NoPartition {
        /// The topic.
        topic: Topic,
        /// The partition asked for.
        partition: Partition,
        /// How many there are.
        count: u32,
    },
    /// No such keyspace.
    #[error("there is no keyspace {keyspace}; create it first")]
    NoKeyspace {
        /// Its name.
        keyspace: KeyspaceName,
    },
    /// A request about keys was refused, or failed.
    #[error(transparent)]
    Keys(cairn_mvcc::Error),
    /// The payload was erased; the record is still there, and can be proven.
    #[error("what record {lsn} held was erased{}", authority(*by))]
    Erased {
        /// The record that held it.
        lsn: Lsn,
        /// The record that authorised it; nothing when the log names none.
        by: Option<Lsn>,
    },
    /// A record that the store itself needs.
    #[error("the record at LSN {lsn} is of kind {kind}; the store needs it and does not erase it")]
    NotErasable {
        /// Its place.
        lsn: Lsn,
        /// Its kind.
        kind: cairn_segment::RecordKind,
    },
    /// An event without a key, or a key that begins with `/`, where everything is about a subject.
    #[error("payloads are sealed by subject here: give a key that begins with the subject")]
    NoSubject,
    /// The key of the subject was dropped.
    #[error("this subject was shredded by record {by}; nothing is written about it any more")]
    SubjectShredded {
        /// The record that authorised it.
        by: Lsn,
    },
    /// There is nothing at the place named, or no version of the key.
    #[error("there is nothing there to be erased")]
    NothingToErase,
    /// The producer's name was registered again, by somebody else.
    #[error("registration {epoch} of this producer is fenced: the current one is {current}")]
    Fenced {
        /// The registration used.
        epoch: u32,
        /// The current one.
        current: u32,
    },
    /// A producer's append that is neither the next one nor a recent one.
    #[error("the producer's next sequence is {expected}, not {actual}; repeat what is missing")]
    OutOfSequence {
        /// The sequence that comes next.
        expected: u64,
        /// The one given.
        actual: u64,
    },
    /// A member that was given up or never joined.
    #[error("{member} is no member of the group any more; join again")]
    UnknownMember {
        /// The member.
        member: String,
    },
    /// Members came or went since.
    #[error("the group is at generation {current}, not {generation}; ask for the new assignment")]
    StaleMember {
        /// The member's generation.
        generation: u64,
        /// The group's.
        current: u64,
    },
    /// Somebody else appended first.
    #[error(
        "the partition's next offset is {actual}, not {expected}; read what was added and decide again"
    )]
    Conflict {
        /// What the caller expected.
        expected: Offset,
        /// The next offset.
        actual: Offset,
    },
    /// The principal may not do that, or nobody said who it is.
    #[error("not allowed: {what}")]
    Denied {
        /// What was asked for.
        what: String,
    },
    /// A service for users and roles is needed, and none was opened.
    #[error("the service of users and roles is not open; open it with the master key")]
    AuthNotOpen,
    /// Users, roles, keys or sessions: refused or failed.
    #[error(transparent)]
    Auth(std::sync::Arc<cairn_auth::Error>),
    /// A name that is not allowed.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// Data that is not JSON.
    #[error("event {index} is not JSON at line {line}, column {column}: {reason}")]
    InvalidJson {
        /// Place of the event in the batch.
        index: usize,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// Something over its limit.
    #[error("{what} of {found} is over the limit of {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// Bytes that are no command.
    #[error("this is no command: {cause}")]
    InvalidCommand {
        /// What is wrong.
        cause: &'static str,
    },
    /// A command names a keyspace by a number that no live one has.
    #[error("there is no keyspace with number {stream}")]
    NoStream {
        /// The number.
        stream: cairn_types::StreamId,
    },
    /// A command at a position that was applied before.
    #[error("command {position} comes after command {applied}, which is applied already")]
    AlreadyApplied {
        /// Position of the command.
        position: u64,
        /// Position of the newest one applied.
        applied: u64,
    },
    /// A log of commands that does not fit the store.
    #[error("the log of commands ends at {end}, the store has applied {applied}: {cause}")]
    CommandsMissing {
        /// Position of the last command in the log.
        end: u64,
        /// Position of the newest one applied.
        applied: u64,
        /// What does not fit.
        cause: &'static str,
    },
    /// A record that does not hold what its kind says.
    #[error("the record at LSN {lsn} is damaged: {cause}")]
    Damaged {
        /// Its place.
        lsn: cairn_types::Lsn,
        /// What is wrong.
        cause: &'static str,
    },
    /// The tree over the records could not be kept.
    #[error("keeping the proofs of the log: {0}")]
    Proof(std::sync::Arc<crate::proof::Error>),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] cairn_segment::Error),
}

impl Error {
    /// What the caller can do next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoTopic { .. }
            | Self::NoPartition { .. }
            | Self::NoKeyspace { .. }
            | Self::NoStream { .. }
            | Self::Erased { .. }
            | Self::NothingToErase => ErrorKind::NotFound,
            Self::Keys(error) => error.kind(),
            Self::TopicExists { .. }
            | Self::KeyspaceExists { .. }
            | Self::SubjectShredded { .. }
            | Self::Conflict { .. }
            | Self::Fenced { .. }
            | Self::OutOfSequence { .. }
            | Self::AlreadyApplied { .. }
            | Self::UnknownMember { .. }
            | Self::StaleMember { .. } => ErrorKind::Conflict,
            Self::InvalidName(_)
            | Self::InvalidJson { .. }
            | Self::InvalidCommand { .. }
            | Self::NotErasable { .. }
            | Self::NoSubject
            | Self::TooLarge { .. } => ErrorKind::Invalid,
            Self::Damaged { .. } | Self::CommandsMissing { .. } => ErrorKind::Corrupt,
            Self::Proof(error) => error.kind(),
            Self::Denied { .. } => ErrorKind::Denied,
            Self::AuthNotOpen => ErrorKind::Unavailable,
            Self::Auth(error) => error.kind(),
            Self::Log(error) => error.kind(),
        }
    }
}

fn authority(by: Option<Lsn>) -> String {
    by.map_or_else(String::new, |by| format!(" by record {by}"))
}

impl From<cairn_mvcc::Error> for Error {
    fn from(error: cairn_mvcc::Error) -> Self {
        match error {
            cairn_mvcc::Error::Erased { lsn, by } => Self::Erased { lsn, by },
            error => Self::Keys(error),
        }
    }
}

impl From<cairn_auth::Error> for Error {
    fn from(error: cairn_auth::Error) -> Self {
        Self::Auth(std::sync::Arc::new(error))
    }
}

impl From<cairn_codec::Error> for Error {
    fn from(error: cairn_codec::Error) -> Self {
        Self::Log(error.into())
    }
}
