//! Complete verification of one batch: everything that can be recomputed is.

use std::borrow::Cow;

use cairn_types::ChainHash;

use super::leaf_with;
use super::statement::{CompactWriter, Form};
use super::view::{BatchView, Content};
use crate::{BatchHeader, CodecId, CodecRegistry, Error, Result, SaltedCrc, hash};

/// What verifying a batch established.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedBatch {
    /// Chain value after the batch, recomputed from its records.
    pub chain: ChainHash,
    /// Records whose payload was erased.
    pub erased_count: u32,
    /// Records of which only the leaf is left.
    pub dropped_count: u32,
}

/// The raw payload section of a body whose CRC was checked.
///
/// # Errors
/// [`Error::UnknownCodec`], or what the codec found wrong.
pub fn raw_payloads<'a>(
    header: &BatchHeader,
    body: &'a [u8],
    registry: &CodecRegistry,
) -> Result<Cow<'a, [u8]>> {
    let stored = body.get(header.statements_len as usize..).unwrap_or_default();
    if header.codec == CodecId::NONE {
        return Ok(Cow::Borrowed(stored));
    }
    let codec = registry.get(header.codec)?;
    let mut raw = Vec::new();
    codec.decompress(stored, header.raw_len as usize, &mut raw)?;
    Ok(Cow::Owned(raw))
}

/// Checks a batch completely and returns the chain value after it.
///
/// # Errors
/// Says which check failed: body CRC, codec, lengths, canonical form, restart table.
pub fn verify_batch(
    header: &BatchHeader,
    body: &[u8],
    registry: &CodecRegistry,
    crc: &SaltedCrc,
) -> Result<VerifiedBatch> {
    header.check_body(body, crc)?;
    let body = &*registry.plain_body(header, body, crc)?;
    let payloads = raw_payloads(header, body, registry)?;
    let mut chain = hash::BatchChain::new(&header.prev_hash, &header.chain_fields());
    let mut writer = CompactWriter::new(header.commit_time, 0);
    let (mut compact, mut restarts) = (Vec::new(), Vec::new());
    let mut scratch = Vec::with_capacity(128);
    let mut verified = VerifiedBatch { chain: header.prev_hash, erased_count: 0, dropped_count: 0 };
    let mut payload_end = 0;
    for record in BatchView::new(header, body)?.records() {
        let record = record?;
        let statement = record.statement();
        let (leaf, form) = match &record.content {
            Content::Payload(range) => {
                payload_end = range.end;
                let payload = payloads.get(range.clone()).ok_or(Error::LengthMismatch {
                    what: "payload section",
                    expected: range.end as u64,
                    found: payloads.len() as u64,
                })?;
                (leaf_with(&statement, &hash::payload(payload), &mut scratch), Form::Present)
            }
            Content::Erased(payload_hash) => {
                verified.erased_count += 1;
                (leaf_with(&statement, payload_hash, &mut scratch), Form::Erased(*payload_hash))
            }
            Content::Dropped(leaf) => {
                verified.dropped_count += 1;
                (*leaf, Form::Dropped(*leaf))
            }
        };
        writer.put(&statement, form, &mut compact, &mut restarts);
        chain.push(&leaf);
    }
    compact.extend_from_slice(&restarts);
    if compact != body[..header.statements_len as usize] {
        return Err(Error::NonCanonical("statements section"));
    }
    if payload_end != payloads.len() {
        return Err(Error::LengthMismatch {
            what: "payload section",
            expected: payloads.len() as u64,
            found: payload_end as u64,
        });
    }
    let gone = verified.erased_count + verified.dropped_count;
    if header.cleaned != (gone > 0) {
        return Err(Error::NonCanonical("cleaned flag"));
    }
    verified.chain = chain.finish();
    Ok(verified)
}
