//! Verification of one segment against what its surroundings say of it.

use cairn_codec::{
    BATCH_HEADER_LEN, BatchHeader, BatchView, CodecRegistry, Content, SaltedCrc, verify_batch,
};
use cairn_types::{ChainHash, ErrorKind, Lsn};

use crate::format::seal::{SEAL_LEN, Seal};
use crate::format::segment_header::SEGMENT_HEADER_LEN;
use crate::format::segment_path;
use crate::recover::{Layout, SegmentFile, Stop, scan};
use crate::segment::rewritten_end;
use crate::window::Window;
use crate::{Corruption, OnErased, Result};

/// What is known of a segment from outside.
#[derive(Debug, Clone)]
pub(super) enum Bounds {
    /// Another segment follows.
    Followed(Box<crate::format::segment_header::SegmentHeader>),
    /// The superblock says where it ends, and whether it was closed cleanly.
    Settled { end: u64, end_lsn: Lsn, chain: ChainHash, clean: bool },
    /// It may still be written; everything below this was durable.
    Open { durable_end: Lsn },
}

impl Bounds {
    pub(super) fn of(layout: &Layout, number: usize) -> Self {
        let block = &layout.superblock;
        match (layout.segments.get(number), layout.segments.get(number + 1)) {
            (_, Some(next)) => Self::Followed(Box::new(next.header.clone())),
            (Some(this), None) if block.segment == this.header.id && block.position != 0 => {
                Self::Settled {
                    end: block.position,
                    end_lsn: block.durable_end,
                    chain: block.chain,
                    clean: block.clean,
                }
            }
            _ => Self::Open { durable_end: block.durable_end },
        }
    }

    /// End of the batches, where it is certain.
    pub(super) fn settled(&self, file: &SegmentFile) -> Option<(u64, Lsn)> {
        match self {
            Self::Followed(next) if file.header.rewrites == 0 => {
                Some((next.prev_end, next.base_lsn))
            }
            Self::Followed(next) => rewritten_end(file, next).ok().map(|end| (end, next.base_lsn)),
            Self::Settled { end, end_lsn, .. } => Some((*end, *end_lsn)),
            Self::Open { .. } => None,
        }
    }

    fn chain(&self) -> Option<ChainHash> {
        match self {
            Self::Followed(next) => Some(next.prev_chain),
            Self::Settled { chain, .. } => Some(*chain),
            Self::Open { .. } => None,
        }
    }
}

/// What verifying a segment found.
#[derive(Debug)]
pub(super) struct SegmentOutcome {
    pub(super) batch_count: u64,
    pub(super) record_count: u64,
    pub(super) erased_count: u64,
    pub(super) dropped_count: u64,
    pub(super) len: u64,
    pub(super) end_lsn: Lsn,
    pub(super) chain: ChainHash,
    pub(super) damage: Vec<Corruption>,
    pub(super) torn: Option<Corruption>,
}

/// Verifies one segment.
pub(super) fn verify_segment(
    file: &SegmentFile,
    bounds: &Bounds,
    registry: &CodecRegistry,
    on_erased: Option<OnErased<'_>>,
) -> Result<SegmentOutcome> {
    let mut outcome = SegmentOutcome {
        batch_count: 0,
        record_count: 0,
        erased_count: 0,
        dropped_count: 0,
        len: SEGMENT_HEADER_LEN as u64,
        end_lsn: file.header.base_lsn,
        chain: file.header.prev_chain,
        damage: Vec::new(),
        torn: None,
    };
    let path = segment_path(file.header.id);
    let end = match bounds.settled(file) {
        Some((end, _)) => end,
        None if matches!(bounds, Bounds::Followed(_)) => {
            outcome.damage.push(Corruption::new(path, file.len, "the seal is damaged"));
            return Ok(outcome);
        }
        None => open_end(file, bounds, &path, &mut outcome)?,
    };
    let mut window = Window::new(file.file.clone())?;
    let mut position = SEGMENT_HEADER_LEN as u64;
    while position < end {
        match verify_at(&mut window, file, position, end, registry, on_erased, &mut outcome)? {
            Ok(len) => position += len,
            Err(cause) => {
                let finding = Corruption::new(path.clone(), position, cause);
                outcome.damage.push(finding.at_lsn(outcome.end_lsn));
                return Ok(outcome);
            }
        }
    }
    outcome.len = end;
    if let Some((_, end_lsn)) = bounds.settled(file)
        && (outcome.end_lsn != end_lsn || bounds.chain() != Some(outcome.chain))
    {
        let cause = "the LSN or chain value at the end is not the one written down elsewhere";
        outcome.damage.push(Corruption::new(path.clone(), end, cause).at_lsn(outcome.end_lsn));
    }
    verify_after_end(file, bounds, end, &path, &mut outcome)?;
    Ok(outcome)
}

/// End of the whole batches of a segment that may still be written.
fn open_end(
    file: &SegmentFile,
    bounds: &Bounds,
    path: &str,
    outcome: &mut SegmentOutcome,
) -> Result<u64> {
    let scanned = scan(&file.file, &file.header, true, |_, _, _| Ok(()))?;
    let Bounds::Open { durable_end } = bounds else { return Ok(scanned.end) };
    let durable_end = scanned.durable_end.max(*durable_end);
    let cause = match &scanned.stop {
        Stop::Invalid(cause) => cause.clone(),
        Stop::EndOfFile => "the file ends".into(),
        Stop::Unwritten => "only zero bytes follow".into(),
        Stop::Sealed(_) => return Ok(scanned.end),
    };
    if scanned.end_lsn < durable_end {
        let cause = format!("{cause}; records below LSN {durable_end} were durable");
        let finding = Corruption::new(path, scanned.end, cause).at_lsn(scanned.end_lsn);
        outcome.damage.push(finding);
    } else if matches!(scanned.stop, Stop::Invalid(_)) {
        outcome.torn = Some(Corruption::new(path, scanned.end, cause).at_lsn(scanned.end_lsn));
    }
    Ok(scanned.end)
}

/// Verifies the batch at a position; returns its length, or what is wrong with it.
fn verify_at(
    window: &mut Window,
    file: &SegmentFile,
    position: u64,
    end: u64,
    registry: &CodecRegistry,
    on_erased: Option<OnErased<'_>>,
    outcome: &mut SegmentOutcome,
) -> Result<Result<u64, String>> {
    let crc = file.header.crc();
    let head = window.get(position, BATCH_HEADER_LEN)?;
    let header = match BatchHeader::decode(head, &crc) {
        Ok(header) => header,
        Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error.into()),
        Err(error) => return Ok(Err(format!("batch header: {error}"))),
    };
    let len = header.total_len() as u64;
    if header.first_lsn != outcome.end_lsn {
        let (found, expected) = (header.first_lsn, outcome.end_lsn);
        return Ok(Err(format!("batch of LSN {found} where {expected} belongs")));
    }
    if header.prev_hash != outcome.chain {
        return Ok(Err("the batch does not continue the hash chain".into()));
    }
    if position + len > end {
        return Ok(Err(format!("a batch of {len} bytes reaches past the end at {end}")));
    }
    let body = window.get(position + BATCH_HEADER_LEN as u64, header.body_len())?;
    match verify_batch(&header, body, registry, &crc) {
        Ok(verified) => {
            if let Some(each) = on_erased.filter(|_| verified.erased_count > 0) {
                show_erased(&header, body, registry, &crc, each)?;
            }
            outcome.chain = verified.chain;
            outcome.end_lsn = header.end_lsn();
            outcome.batch_count += 1;
            outcome.record_count += u64::from(header.record_count);
            outcome.erased_count += u64::from(verified.erased_count);
            outcome.dropped_count += u64::from(verified.dropped_count);
            Ok(Ok(len))
        }
        Err(error) if error.kind() == ErrorKind::Unsupported => Err(error.into()),
        Err(error) => Ok(Err(format!("batch: {error}"))),
    }
}

/// Shows the erased records of a batch that was verified.
fn show_erased(
    header: &BatchHeader,
    body: &[u8],
    registry: &CodecRegistry,
    crc: &SaltedCrc,
    each: OnErased<'_>,
) -> Result<()> {
    let plain = registry.plain_body(header, body, crc)?;
    for record in BatchView::new(header, &plain)?.records() {
        let record = record?;
        if matches!(record.content, Content::Erased(_)) {
            each(Lsn::new(header.first_lsn.get() + u64::from(record.index)), &record);
        }
    }
    Ok(())
}

/// Checks the seal, where there must be one or is one.
fn verify_after_end(
    file: &SegmentFile,
    bounds: &Bounds,
    end: u64,
    path: &str,
    outcome: &mut SegmentOutcome,
) -> Result<()> {
    let must = matches!(bounds, Bounds::Settled { clean: true, .. });
    if matches!(bounds, Bounds::Open { .. }) || (file.len == end && !must) {
        return Ok(());
    }
    let mut bytes = [0; SEAL_LEN];
    let got = file.file.read_at(end, &mut bytes)?;
    let cause = match Seal::decode(&bytes, &file.header.crc()) {
        _ if got < SEAL_LEN => "the seal is missing or cut short".to_owned(),
        Err(fault) => format!("seal: {fault}"),
        Ok(seal)
            if seal.end_lsn != outcome.end_lsn
                || seal.chain != outcome.chain
                || seal.position != end
                || seal.batch_count != outcome.batch_count =>
        {
            "the seal does not agree with the batches before it".to_owned()
        }
        Ok(_) if file.len != end + SEAL_LEN as u64 => {
            let position = end + SEAL_LEN as u64;
            outcome.damage.push(Corruption::new(path, position, "bytes follow the seal"));
            return Ok(());
        }
        Ok(_) => return Ok(()),
    };
    outcome.damage.push(Corruption::new(path, end, cause).at_lsn(outcome.end_lsn));
    Ok(())
}
