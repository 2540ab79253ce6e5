//! Reading an unsealed segment from its first batch to the first frame that is not valid.

use std::sync::Arc;

use cairn_codec::{BATCH_HEADER_LEN, BatchHeader, SaltedCrc};
use cairn_types::{ChainHash, ErrorKind, Lsn};
use cairn_vfs::VfsFile;

use crate::Result;
use crate::format::frame::FrameFault;
use crate::format::seal::{SEAL_LEN, Seal};
use crate::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use crate::window::Window;

/// Why a scan stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A valid seal that agrees with the batches before it.
    Sealed(Seal),
    /// The file ends here.
    EndOfFile,
    /// Only zero bytes follow: reserved space that was never written.
    Unwritten,
    /// Something else that is not a valid frame.
    Invalid(String),
}

/// What a scan found out about a segment.
#[derive(Debug)]
pub(crate) struct Scanned {
    /// Batches that are whole and in order.
    pub(crate) batches: Vec<ScannedBatch>,
    /// Where the scan stopped: the end of the last whole batch.
    pub(crate) end: u64,
    /// LSN that a batch at `end` would have.
    pub(crate) end_lsn: Lsn,
    /// Why it stopped there.
    pub(crate) stop: Stop,
    /// Highest durable end that any whole header claims, also of headers after the stop.
    pub(crate) durable_end: Lsn,
    /// Whole headers found after the stop.
    pub(crate) later_batches: u64,
    /// Length of the file.
    pub(crate) file_len: u64,
}

/// A whole batch in its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScannedBatch {
    pub(crate) position: u64,
    pub(crate) first_lsn: Lsn,
    pub(crate) records: u32,
    pub(crate) len: u64,
    pub(crate) prev_hash: ChainHash,
}

/// Scans the batches of a segment, checking every CRC and the order of LSNs.
///
/// `each` sees every whole batch; it is how indexes are rebuilt in the same pass.
pub(crate) fn scan(
    file: &Arc<dyn VfsFile>,
    header: &SegmentHeader,
    check_bodies: bool,
    each: impl FnMut(&BatchHeader, u64, &[u8]) -> Result<()>,
) -> Result<Scanned> {
    let mut scanned =
        scan_from(file, header, (SEGMENT_HEADER_LEN as u64, header.base_lsn), check_bodies, each)?;
    scanned.stop = check_seal(scanned.stop.clone(), header, &scanned);
    if !matches!(scanned.stop, Stop::Sealed(_) | Stop::EndOfFile) {
        let mut window = Window::new(file.clone())?;
        look_behind_the_stop(&mut window, &header.crc(), &mut scanned)?;
    }
    Ok(scanned)
}

/// As [`scan`], from a place in the segment on; it does not look behind the stop.
pub(crate) fn scan_from(
    file: &Arc<dyn VfsFile>,
    header: &SegmentHeader,
    (position, lsn): (u64, Lsn),
    check_bodies: bool,
    mut each: impl FnMut(&BatchHeader, u64, &[u8]) -> Result<()>,
) -> Result<Scanned> {
    let crc = header.crc();
    let mut window = Window::new(file.clone())?;
    let mut scanned = Scanned {
        batches: Vec::new(),
        end: position,
        end_lsn: lsn,
        stop: Stop::EndOfFile,
        durable_end: Lsn::new(0),
        later_batches: 0,
        file_len: window.file_len(),
    };
    loop {
        let position = scanned.end;
        match next_batch(&mut window, position, &crc, scanned.end_lsn, check_bodies)? {
            Ok(batch) => {
                let body_at = position + BATCH_HEADER_LEN as u64;
                let body = window.get(body_at, batch.body_len())?;
                each(&batch, position, body)?;
                scanned.push(&batch, position);
            }
            Err(stop) => {
                scanned.stop = stop;
                break;
            }
        }
    }
    Ok(scanned)
}

impl Scanned {
    fn push(&mut self, batch: &BatchHeader, position: u64) {
        self.batches.push(ScannedBatch {
            position,
            first_lsn: batch.first_lsn,
            records: batch.record_count,
            len: batch.total_len() as u64,
            prev_hash: batch.prev_hash,
        });
        self.durable_end = self.durable_end.max(batch.durable_end);
        self.end += batch.total_len() as u64;
        self.end_lsn = Lsn::new(batch.first_lsn.get() + u64::from(batch.record_count));
    }
}

/// The whole batch at `position`, or why there is none.
fn next_batch(
    window: &mut Window,
    position: u64,
    crc: &SaltedCrc,
    expected: Lsn,
    check_bodies: bool,
) -> Result<Result<BatchHeader, Stop>> {
    let left = window.file_len().saturating_sub(position);
    let head = window.get(position, BATCH_HEADER_LEN)?;
    if head.is_empty() {
        return Ok(Err(Stop::EndOfFile));
    }
    if head.len() < BATCH_HEADER_LEN {
        return Ok(Err(Stop::Invalid(format!("{} bytes are too few for a frame", head.len()))));
    }
    if Seal::is_magic(head) {
        let bytes: &[u8; SEAL_LEN] = head.try_into().expect("a seal is as long as a header");
        return Ok(Err(match Seal::decode(bytes, crc) {
            Ok(seal) => Stop::Sealed(seal),
            Err(FrameFault::Version(found)) => {
                return Err(cairn_codec::Error::UnsupportedVersion { found }.into());
            }
            Err(fault) => Stop::Invalid(format!("seal: {fault}")),
        }));
    }
    let batch = match BatchHeader::decode(head, crc) {
        Ok(batch) => batch,
        Err(_) if head.iter().all(|byte| *byte == 0) => return Ok(Err(Stop::Unwritten)),
        // Its CRC is right: a newer program wrote it, and it is not to be cut.
        Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error.into()),
        Err(error) => return Ok(Err(Stop::Invalid(format!("batch header: {error}")))),
    };
    if batch.first_lsn != expected {
        let cause = format!("batch of LSN {} where {expected} belongs", batch.first_lsn);
        return Ok(Err(Stop::Invalid(cause)));
    }
    if (batch.total_len() as u64) > left {
        let cause = format!("batch of {} bytes, {left} are left in the file", batch.total_len());
        return Ok(Err(Stop::Invalid(cause)));
    }
    let body = window.get(position + BATCH_HEADER_LEN as u64, batch.body_len())?;
    if check_bodies && let Err(error) = batch.check_body(body, crc) {
        return Ok(Err(Stop::Invalid(format!("batch body: {error}"))));
    }
    Ok(Ok(batch))
}

/// A seal counts only if it agrees with what lies before it.
fn check_seal(stop: Stop, header: &SegmentHeader, scanned: &Scanned) -> Stop {
    let Stop::Sealed(seal) = &stop else { return stop };
    let agrees = seal.id == header.id
        && seal.position == scanned.end
        && seal.end_lsn == scanned.end_lsn
        && seal.batch_count == scanned.batches.len() as u64;
    if agrees {
        stop
    } else {
        Stop::Invalid(FrameFault::Field("seal: place or counts").to_string())
    }
}

/// Looks for whole headers after the stop: they may prove that what is broken was durable.
///
/// CRCs are seeded with the segment's salt, so bytes of a payload cannot pose as a header.
fn look_behind_the_stop(window: &mut Window, crc: &SaltedCrc, scanned: &mut Scanned) -> Result<()> {
    const STEP: usize = 256 << 10;
    let mut position = scanned.end + 1;
    while position < window.file_len() {
        let bytes = window.get(position, STEP + BATCH_HEADER_LEN)?;
        if bytes.len() < BATCH_HEADER_LEN {
            break;
        }
        let starts = bytes.len() - BATCH_HEADER_LEN + 1;
        let mut at = 0;
        while let Some(offset) = bytes[at..starts].iter().position(|byte| *byte == b'C') {
            at += offset;
            let candidate = &bytes[at..at + BATCH_HEADER_LEN];
            if let Ok(batch) = BatchHeader::decode(candidate, crc) {
                scanned.later_batches += 1;
                scanned.durable_end = scanned.durable_end.max(batch.durable_end);
            } else if Seal::is_magic(candidate) {
                let bytes: &[u8; SEAL_LEN] = candidate.try_into().expect("same length");
                if let Ok(seal) = Seal::decode(bytes, crc) {
                    scanned.durable_end = scanned.durable_end.max(seal.end_lsn);
                }
            }
            at += 1;
        }
        position += starts as u64;
    }
    Ok(())
}
