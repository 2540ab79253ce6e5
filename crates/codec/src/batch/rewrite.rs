//! Writing a batch again with payloads erased and records dropped, for another segment. The chain
//! value stays the same, because every leaf does.

use cairn_types::limits;

use super::header::BATCH_HEADER_LEN;
use super::leaf_with;
use super::statement::{CompactWriter, Form};
use super::verify::raw_payloads;
use super::view::{BatchView, Content};
use crate::{
    BatchHeader, Codec, CodecId, CodecRegistry, Error, RecordView, Result, SaltedCrc, hash,
};

/// What the cleaner does with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Keep it as it is.
    Keep,
    /// Keep its statement and its payload's hash.
    Erase,
    /// Keep nothing but its leaf.
    Drop,
}

/// Appends a batch to `out`, not sealed, in which every record met its `fate`; says whether one
/// changed. `crc` is that of the segment that the result goes to.
///
/// The result may be longer than the batch it comes from: an erased record keeps 32 bytes of
/// hash, a dropped one 32 bytes of leaf.
///
/// # Errors
/// When the body, opened and with its CRC checked by the caller, is not valid otherwise;
/// [`Error::TooLarge`] when the result would pass a limit. What was appended to `out` is then
/// to be thrown away.
pub fn rewrite(
    header: &BatchHeader,
    body: &[u8],
    registry: &CodecRegistry,
    codec: &dyn Codec,
    crc: &SaltedCrc,
    mut fate: impl FnMut(&RecordView<'_>) -> Fate,
    out: &mut Vec<u8>,
) -> Result<bool> {
    let old = raw_payloads(header, body, registry)?;
    let start = out.len();
    out.resize(start + BATCH_HEADER_LEN, 0);
    let mut writer = CompactWriter::new(header.commit_time, out.len());
    let (mut restarts, mut payloads, mut scratch) = (Vec::new(), Vec::new(), Vec::new());
    let (mut changed, mut gone) = (false, false);
    for record in BatchView::new(header, body)?.records() {
        let record = record?;
        let statement = record.statement();
        let payload = record.payload(&old);
        let wish = match &record.content {
            Content::Dropped(_) => Fate::Drop,
            _ => fate(&record),
        };
        let form = match (wish, &record.content) {
            (_, Content::Dropped(leaf)) => Form::Dropped(*leaf),
            (Fate::Keep, Content::Payload(_)) => Form::Present,
            (Fate::Keep | Fate::Erase, Content::Erased(hash)) => Form::Erased(*hash),
            (Fate::Drop, Content::Erased(hash)) => {
                changed = true;
                Form::Dropped(leaf_with(&statement, hash, &mut scratch))
            }
            (Fate::Erase, Content::Payload(_)) => {
                changed = true;
                Form::Erased(hash::payload(payload.unwrap_or_default()))
            }
            (Fate::Drop, Content::Payload(_)) => {
                changed = true;
                let hash = hash::payload(payload.unwrap_or_default());
                Form::Dropped(leaf_with(&statement, &hash, &mut scratch))
            }
        };
        if matches!(form, Form::Present) {
            payloads.extend_from_slice(payload.unwrap_or_default());
        } else {
            gone = true;
        }
        writer.put(&statement, form, out, &mut restarts);
    }
    out.extend_from_slice(&restarts);
    let mut rewritten = BatchHeader { cleaned: gone, sealed: false, ..*header };
    rewritten.statements_len = within(
        "bytes of statements of a cleaned batch",
        out.len() - start - BATCH_HEADER_LEN,
        limits::MAX_STATEMENTS_LEN,
    )?;
    rewritten.raw_len =
        within("bytes of payloads of a cleaned batch", payloads.len(), limits::MAX_BATCH_RAW_LEN)?;
    let stored_start = out.len();
    rewritten.codec = store_payloads(codec, &payloads, out)?;
    rewritten.stored_len = within(
        "bytes of payloads of a cleaned batch",
        out.len() - stored_start,
        limits::MAX_BATCH_RAW_LEN,
    )?;
    rewritten.body_crc = crc.checksum(&out[start + BATCH_HEADER_LEN..]);
    out[start..start + BATCH_HEADER_LEN].copy_from_slice(&rewritten.encode(crc));
    Ok(changed)
}

fn within(what: &'static str, found: usize, limit: usize) -> Result<u32> {
    match u32::try_from(found) {
        Ok(len) if found <= limit => Ok(len),
        _ => Err(Error::TooLarge { what, found: found as u64, limit: limit as u64 }),
    }
}

/// Appends the payload section, compressed when that saves space.
fn store_payloads(codec: &dyn Codec, payloads: &[u8], out: &mut Vec<u8>) -> Result<CodecId> {
    if codec.id() != CodecId::NONE && !payloads.is_empty() {
        let mut stored = Vec::new();
        codec.compress(payloads, &mut stored)?;
        if stored.len() < payloads.len() {
            out.extend_from_slice(&stored);
            return Ok(codec.id());
        }
    }
    out.extend_from_slice(payloads);
    Ok(CodecId::NONE)
}
