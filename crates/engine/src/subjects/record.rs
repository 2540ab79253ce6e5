//! The payload of the record that a subject was shredded. Truth: a record of kind 10 of the
//! system stream, like other erasures.
//!
//! | size | field |
//! |---|---|
//! | 1 | version = 1 |
//! | 1 | 3: a subject |
//! | 2 | length of the reason, little-endian |
//! | | reason, UTF-8 |
//! | | the subject, 1 to 1024 bytes |

use crate::erasure::REASON_LEN_MAX;

const VERSION: u8 = 1;
/// What tells it from the other erasures.
pub(crate) const SUBJECT: u8 = 3;

/// Bytes of a subject's name.
pub const SUBJECT_LEN_MAX: usize = 1024;

/// What the log says of a subject that was shredded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShredRecord {
    /// The subject.
    pub subject: Vec<u8>,
    /// Who asked and why.
    pub reason: String,
}

impl ShredRecord {
    /// The payload.
    ///
    /// # Panics
    /// When reason or subject are too long, or there is no subject.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.reason.len() <= REASON_LEN_MAX, "checked before");
        assert!((1..=SUBJECT_LEN_MAX).contains(&self.subject.len()), "only such have keys");
        let reason_len = u16::try_from(self.reason.len()).expect("limited above");
        let mut out = vec![VERSION, SUBJECT];
        out.extend_from_slice(&reason_len.to_le_bytes());
        out.extend_from_slice(self.reason.as_bytes());
        out.extend_from_slice(&self.subject);
        out
    }

    /// Reads a payload; `None` when it is not one that [`encode`](Self::encode) writes.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (&[VERSION, SUBJECT, len0, len1], rest) = payload.split_first_chunk::<4>()? else {
            return None;
        };
        let len = usize::from(u16::from_le_bytes([len0, len1]));
        let (reason, subject) = rest.split_at_checked(len).filter(|_| len <= REASON_LEN_MAX)?;
        let reason = std::str::from_utf8(reason).ok()?.to_owned();
        let is_one = (1..=SUBJECT_LEN_MAX).contains(&subject.len());
        is_one.then(|| Self { subject: subject.to_vec(), reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_has_the_bytes_that_are_written_down() {
        let record = ShredRecord { subject: b"u7".to_vec(), reason: "asked".into() };
        assert_eq!(record.encode(), b"\x01\x03\x05\x00askedu7");
        assert_eq!(ShredRecord::decode(&record.encode()), Some(record));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(record) = ShredRecord::decode(&bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }
    }
}
