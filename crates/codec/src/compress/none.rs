//! The codec that stores bytes as they are.

use super::{Codec, CodecId, check_raw_len, check_result};
use crate::Result;

/// Stores bytes as they are.
#[derive(Debug, Clone, Copy)]
pub struct Raw;

impl Codec for Raw {
    fn id(&self) -> CodecId {
        CodecId::NONE
    }

    fn name(&self) -> &'static str {
        "none"
    }

    fn compress(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(raw);
        Ok(())
    }

    fn decompress(&self, stored: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<()> {
        check_raw_len(raw_len)?;
        check_result("stored payloads", raw_len, stored.len())?;
        out.extend_from_slice(stored);
        Ok(())
    }
}
