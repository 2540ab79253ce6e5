//! LZ4 block format, inside our own framing.

use super::{Codec, CodecId, check_raw_len, check_result};
use crate::{Error, Result};

/// LZ4 block compression.
#[derive(Debug, Clone, Copy)]
pub struct Lz4;

fn failed(cause: impl ToString) -> Error {
    Error::Codec { codec: "lz4".into(), cause: cause.to_string() }
}

impl Codec for Lz4 {
    fn id(&self) -> CodecId {
        CodecId::LZ4
    }

    fn name(&self) -> &'static str {
        "lz4"
    }

    fn compress(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        out.resize(start + lz4_flex::block::get_maximum_output_size(raw.len()), 0);
        let len = lz4_flex::block::compress_into(raw, &mut out[start..]).map_err(failed)?;
        out.truncate(start + len);
        Ok(())
    }

    fn decompress(&self, stored: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<()> {
        check_raw_len(raw_len)?;
        let start = out.len();
        out.resize(start + raw_len, 0);
        let outcome = lz4_flex::block::decompress_into(stored, &mut out[start..])
            .map_err(failed)
            .and_then(|len| check_result("LZ4 payloads", raw_len, len));
        if outcome.is_err() {
            out.truncate(start);
        }
        outcome
    }
}
