//! What applying a command answers: the same on every store that applies the same commands.
//!
//! An answer on the wire is a version byte (1), a byte for its kind, and its fields as those of
//! commands.

use cairn_mvcc::{
    DeleteResponse, KeyValue, LeaseId, PutResponse, RangeResponse, TxnResponse, TxnResult,
};
use cairn_types::{ErrorKind, EventId, Offset, Partition, ProducerId};

use super::wire::Writer;

const VERSION: u8 = 1;

/// Where an event is, without the place in the log, which is each store's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPlace {
    /// Partition.
    pub partition: Partition,
    /// Place in the partition.
    pub offset: Offset,
    /// Identity.
    pub id: EventId,
    /// It had been appended before; this is the first one's place.
    pub duplicate: bool,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Done, with nothing to say.
    Done,
    /// Whether what was to be created is new.
    Created(bool),
    /// Where the events are, in order.
    Appended(Vec<EventPlace>),
    /// A producer was registered.
    Registered {
        /// Its number.
        id: ProducerId,
        /// Which registration of the name.
        epoch: u32,
    },
    /// Keys were written in this revision.
    Revision(u64),
    /// A key was written.
    Put(PutResponse),
    /// Keys were deleted.
    Deleted(DeleteResponse),
    /// A transaction was carried out.
    Txn {
        /// What it answered.
        response: TxnResponse,
        /// Where its events are.
        events: Vec<EventPlace>,
    },
    /// A lease was granted or renewed.
    Lease {
        /// Its number.
        id: LeaseId,
        /// Seconds.
        ttl: i64,
    },
    /// A lease ended with so many keys.
    LeaseEnded(u64),
    /// The command was refused and changed nothing.
    Refused {
        /// What the caller can do next.
        kind: ErrorKind,
        /// Why.
        reason: String,
    },
}

impl Answer {
    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(VERSION);
        match self {
            Self::Done => out.u8(1),
            Self::Created(new) => out.u8(2).bool(*new),
            Self::Appended(places) => out.u8(3).places(places),
            Self::Registered { id, epoch } => out.u8(4).number(id.get()).number((*epoch).into()),
            Self::Revision(revision) => out.u8(5).number(*revision),
            Self::Put(response) => out.u8(6).put_response(response),
            Self::Deleted(response) => out.u8(7).delete_response(response),
            Self::Txn { response, events } => out.u8(8).txn_response(response).places(events),
            Self::Lease { id, ttl } => out.u8(9).signed(id.get()).signed(*ttl),
            Self::LeaseEnded(count) => out.u8(10).number(*count),
            Self::Refused { kind, reason } => out.u8(11).u8(number_of(*kind)).name(reason),
        };
        out.finish()
    }

    /// Whether the command was refused.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

const fn number_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::NotFound => 1,
        ErrorKind::Conflict => 2,
        ErrorKind::Invalid => 3,
        _ => 0,
    }
}

impl Writer {
    fn places(&mut self, places: &[EventPlace]) -> &mut Self {
        self.list(places, |out, place| {
            out.number(place.partition.get().into())
                .number(place.offset.get())
                .fixed(&place.id.to_bytes())
                .bool(place.duplicate);
        })
    }

    fn key_value(&mut self, kv: &KeyValue) -> &mut Self {
        self.part(&kv.key)
            .part(&kv.value)
            .number(kv.create_revision)
            .number(kv.mod_revision)
            .number(kv.version)
            .signed(kv.lease.get())
    }

    fn put_response(&mut self, response: &PutResponse) -> &mut Self {
        self.number(response.revision).option(response.prev_kv.as_ref(), |out, kv| {
            out.key_value(kv);
        })
    }

    fn delete_response(&mut self, response: &DeleteResponse) -> &mut Self {
        self.number(response.revision).number(response.deleted).list(
            &response.prev_kvs,
            |out, kv| {
                out.key_value(kv);
            },
        )
    }

    fn range_response(&mut self, response: &RangeResponse) -> &mut Self {
        self.number(response.revision)
            .list(&response.kvs, |out, kv| {
                out.key_value(kv);
            })
            .number(response.count)
            .bool(response.more)
    }

    fn txn_response(&mut self, response: &TxnResponse) -> &mut Self {
        self.number(response.revision).bool(response.succeeded).list(
            &response.results,
            |out, result| {
                match result {
                    TxnResult::Range(inner) => out.u8(1).range_response(inner),
                    TxnResult::Put(inner) => out.u8(2).put_response(inner),
                    TxnResult::Delete(inner) => out.u8(3).delete_response(inner),
                    TxnResult::Txn(inner) => out.u8(4).txn_response(inner),
                };
            },
        )
    }
}
