//! The payload of an event record. Truth.
//!
//! | part | content |
//! |---|---|
//! | 1 byte | data kind: 0 binary, 1 JSON, 2 text; 128 added when a producer's stamp follows, 64 when what follows id and stamp is sealed with the key of the event's subject |
//! | 16 bytes | event id |
//! | 20 bytes, if stamped | producer u64, epoch u32, sequence u64 |
//! | varint | header count |
//! | for each header | name length varint, name, value length varint, value |
//! | the rest | data |
//!
//! Sealed, headers and data are one block: 16 bytes of salt, then a sealed block of
//! `cairn_codec::seal` (kind 5, file = stream, counter 0).
//!
//! Key and timestamp stand in the record's statement.

use bytes::Bytes;
use cairn_codec::varint;
use cairn_types::{EventData, EventId, Headers, ProducerId, limits};

use crate::{Error, Result};

/// Says that a stamp follows the id.
const STAMPED: u8 = 128;
/// Says that what follows id and stamp is sealed.
const SEALED: u8 = 64;
/// Bytes of a stamp.
const STAMP_LEN: usize = 20;

/// Who appended an event, and as which of its appends to the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The producer.
    pub producer: ProducerId,
    /// Which registration of its name.
    pub epoch: u32,
    /// Which append, from 0.
    pub sequence: u64,
}

impl Stamp {
    fn decode(bytes: [u8; STAMP_LEN]) -> Option<Self> {
        let (producer, rest) = bytes.split_first_chunk::<8>()?;
        let (epoch, rest) = rest.split_first_chunk::<4>()?;
        Some(Self {
            producer: ProducerId::new(u64::from_le_bytes(*producer)),
            epoch: u32::from_le_bytes(*epoch),
            sequence: u64::from_le_bytes(*rest.first_chunk::<8>()?),
        })
    }
}

/// Appends the payload of an event.
///
/// # Errors
/// [`Error::TooLarge`] for headers or data over their limits.
pub fn encode(id: EventId, headers: &Headers, data: &EventData, out: &mut Vec<u8>) -> Result<()> {
    encode_stamped(id, None, headers, data, out)
}

/// Appends the payload of an event with its producer's stamp.
///
/// # Errors
/// [`Error::TooLarge`] for headers or data over their limits.
pub fn encode_stamped(
    id: EventId,
    stamp: Option<Stamp>,
    headers: &Headers,
    data: &EventData,
    out: &mut Vec<u8>,
) -> Result<()> {
    let within = |what, found: usize, limit: usize| {
        let (found, limit) = (found as u64, limit as u64);
        if found > limit { Err(Error::TooLarge { what, found, limit }) } else { Ok(()) }
    };
    within("number of headers", headers.len(), limits::MAX_HEADERS)?;
    within("event data", data.as_bytes().len(), limits::MAX_PAYLOAD_LEN / 2)?;
    let kind = match data {
        EventData::Binary(_) => 0,
        EventData::Json(_) => 1,
        EventData::Text(_) => 2,
    };
    out.push(if stamp.is_some() { kind | STAMPED } else { kind });
    out.extend_from_slice(&id.to_bytes());
    if let Some(stamp) = stamp {
        out.extend_from_slice(&stamp.producer.get().to_le_bytes());
        out.extend_from_slice(&stamp.epoch.to_le_bytes());
        out.extend_from_slice(&stamp.sequence.to_le_bytes());
    }
    varint::put(out, headers.len() as u64);
    for (name, value) in headers.iter() {
        within("header name", name.len(), limits::MAX_HEADER_LEN)?;
        within("header value", value.len(), limits::MAX_HEADER_LEN)?;
        varint::put(out, name.len() as u64);
        out.extend_from_slice(name.as_bytes());
        varint::put(out, value.len() as u64);
        out.extend_from_slice(value);
    }
    out.extend_from_slice(data.as_bytes());
    Ok(())
}

/// What an envelope holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Identity.
    pub id: EventId,
    /// Headers.
    pub headers: Headers,
    /// Data.
    pub data: EventData,
}

/// Identity of the event in a payload, without reading the rest.
#[must_use]
pub fn id_of(payload: &[u8]) -> Option<EventId> {
    let id = payload.get(1..17)?.first_chunk::<16>()?;
    Some(EventId::from_bytes(*id))
}

/// The beginning of a payload up to id and stamp: enough for [`id_of`] and [`stamp_of`].
#[must_use]
pub fn head_of(payload: &[u8]) -> &[u8] {
    let stamped = payload.first().is_some_and(|kind| kind & STAMPED != 0);
    let len = if stamped { 17 + STAMP_LEN } else { 17 };
    payload.get(..len).unwrap_or_default()
}

/// Whether what follows id and stamp is sealed.
#[must_use]
pub fn is_sealed(payload: &[u8]) -> bool {
    payload.first().is_some_and(|kind| kind & SEALED != 0)
}

pub(crate) fn mark_sealed(head: &mut [u8]) {
    if let Some(kind) = head.first_mut() {
        *kind |= SEALED;
    }
}

pub(crate) fn mark_plain(head: &mut [u8]) {
    if let Some(kind) = head.first_mut() {
        *kind &= !SEALED;
    }
}

/// Stamp of the event in a payload, if it has one.
#[must_use]
pub fn stamp_of(payload: &[u8]) -> Option<Stamp> {
    let stamped = *payload.first()? & STAMPED != 0;
    let bytes = payload.get(17..)?.first_chunk::<STAMP_LEN>()?;
    if stamped { Stamp::decode(*bytes) } else { None }
}

/// Reads a payload without copying it; `None` when it is no envelope.
#[must_use]
pub fn decode(payload: &Bytes) -> Option<Envelope> {
    let id = id_of(payload)?;
    let kind = *payload.first()?;
    let stamp_len = if kind & STAMPED != 0 { STAMP_LEN } else { 0 };
    let mut rest = payload.get(17 + stamp_len..)?;
    let count = usize::try_from(varint::take(&mut rest)?).ok()?;
    if count > limits::MAX_HEADERS {
        return None;
    }
    let mut headers = Headers::new();
    for _ in 0..count {
        let name = std::str::from_utf8(part(&mut rest)?).ok()?.to_owned();
        let value = payload.slice_ref(part(&mut rest)?);
        headers.push(name, value);
    }
    let data = payload.slice_ref(rest);
    let data = match kind & !STAMPED {
        0 => EventData::Binary(data),
        1 => EventData::Json(data),
        2 => EventData::text_from_bytes(data).ok()?,
        _ => return None,
    };
    Some(Envelope { id, headers, data })
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(varint::take(rest)?).ok()?;
    let (part, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn envelopes_survive_a_round_trip(
            id: [u8; 16],
            pairs in proptest::collection::vec(("[a-z]{0,9}", proptest::collection::vec(any::<u8>(), 0..9)), 0..5),
            text in "\\PC{0,50}",
        ) {
            let mut headers = Headers::new();
            for (name, value) in pairs {
                headers.push(name, value);
            }
            let id = EventId::from_bytes(id);
            for data in [EventData::text(text.clone()), EventData::binary(text.clone()), EventData::json(text.clone())] {
                let mut out = Vec::new();
                encode(id, &headers, &data, &mut out).expect("within limits");
                let expected = Envelope { id, headers: headers.clone(), data };
                prop_assert_eq!(decode(&out.into()), Some(expected));
            }
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes.into());
        }
    }
}
