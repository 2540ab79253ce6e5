//! Whether the key opens the store, asked before anything is changed. Derived from the first
//! batch of the segments: a store is encrypted from some segment on.

use cairn_codec::{BATCH_HEADER_LEN, BatchHeader, CodecRegistry};

use super::layout::SegmentFile;
use crate::format::segment_header::SEGMENT_HEADER_LEN;
use crate::store::name_of;
use crate::{Error, Result};

/// Opens the first batch of the newest encrypted segment.
pub(crate) fn check_key(registry: &CodecRegistry, segments: &[SegmentFile]) -> Result<()> {
    for segment in segments.iter().rev() {
        let crc = segment.header.crc();
        let mut head = [0; BATCH_HEADER_LEN];
        let got = segment.file.read_at(SEGMENT_HEADER_LEN as u64, &mut head)?;
        // What is torn or damaged here is found and told by those who read the segment.
        let Ok(header) = BatchHeader::decode(head.get(..got).unwrap_or_default(), &crc) else {
            continue;
        };
        if !header.sealed {
            continue;
        }
        let mut body = vec![0; header.body_len()];
        let at = (SEGMENT_HEADER_LEN + BATCH_HEADER_LEN) as u64;
        let whole = segment.file.read_at(at, &mut body)? == body.len();
        if !whole || header.check_body(&body, &crc).is_err() {
            continue;
        }
        return match registry.plain_body(&header, &body, &crc) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Sealed {
                file: name_of(segment.header.id),
                cause: match registry.is_sealing() {
                    true => "the key is not the one it was written with",
                    false => "give its key",
                },
            }),
        };
    }
    Ok(())
}
