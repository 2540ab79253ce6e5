//! Archives: CAR version 1. **Truth** of another store, or for one.
//!
//! | part | form |
//! |---|---|
//! | header | varint length, then DAG-CBOR `{ "roots": [ids], "version": 1 }` |
//! | each block | varint length of what follows, the id, the block |
//!
//! Varints are those of multiformats: seven bits a byte, lowest first, at most nine bytes, no
//! trailing zero group. Both ways the archive is a stream; one block is in memory at a time. An
//! import hashes each block before it is kept. When it fails half-way, the blocks before the
//! fault stay: they are what their ids say, and importing again changes nothing.

use super::cbor::{Reader, Writer};
use super::cid::{CID_LEN, Cid, Codec};
use super::error::{Error, Result};
use super::graph::Dag;
use super::node::{MAX_BLOCK_LEN, Node, check};
use super::store::NodeStore;
use bytes::Bytes;
use std::io::{ErrorKind, Read, Write};

/// Most roots of an archive.
pub const MAX_CAR_ROOTS: usize = 16_384;
/// Longest header of an archive in bytes.
pub const MAX_CAR_HEADER_LEN: usize = 1 << 20;
/// Most blocks of one export.
const EXPORT_LIMIT: usize = usize::MAX;
const WHAT: &str = "archive";
/// An id in CBOR: tag, head of the byte string, zero byte, id.
const ROOT_LEN: usize = 5 + CID_LEN;

const _: () = assert!(MAX_CAR_ROOTS * ROOT_LEN + 64 < MAX_CAR_HEADER_LEN);

/// What an import brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportReport {
    /// Roots that the archive names. They may be missing from it.
    pub roots: Vec<Cid>,
    /// Blocks read, repeated ones counted each time.
    pub blocks: u64,
    /// Bytes of those blocks.
    pub bytes: u64,
}

impl<S: NodeStore> Dag<S> {
    /// Writes everything under `roots` as an archive, each block once, a node before what it links
    /// to. Gives the count of blocks. Writes in small pieces: a file wants a `BufWriter` around it.
    ///
    /// # Errors
    /// `NotFound` or `Altered` when a block is not whole, with part of the archive written;
    /// `TooLarge` for more than [`MAX_CAR_ROOTS`] roots; those of the store and the writer.
    pub fn export(&self, roots: &[Cid], out: &mut (impl Write + ?Sized)) -> Result<u64> {
        check("roots of an archive", roots.len(), MAX_CAR_ROOTS)?;
        let mut header = Writer::default();
        header.map(2);
        header.text("roots");
        header.array(roots.len());
        roots.iter().for_each(|root| header.cid(root));
        header.text("version");
        header.unsigned(1);
        let header = header.finish();
        write_len(header.len(), out)?;
        out.write_all(&header)?;
        let mut blocks = 0;
        self.visit(roots, EXPORT_LIMIT, |cid, block| {
            write_len(CID_LEN + block.len(), out)?;
            out.write_all(&cid.encode())?;
            out.write_all(block)?;
            blocks += 1;
            Ok(())
        })?;
        Ok(blocks)
    }

    /// Keeps the blocks of an archive. Names no root: whoever imports decides that. Lengths are
    /// read byte by byte: a file wants a `BufReader` around it.
    ///
    /// # Errors
    /// `Altered` for a block that does not hash to its id; `Invalid` for bytes that are no archive
    /// and for blocks that are no nodes; `Unsupported` for other versions, ids and codecs;
    /// `TooLarge`; those of the store and the reader. Blocks before the fault stay.
    pub fn import(&self, archive: &mut (impl Read + ?Sized)) -> Result<ImportReport> {
        let len = read_len(archive)?.ok_or(invalid("it is empty"))?;
        let header = read_bytes(archive, len, MAX_CAR_HEADER_LEN)?;
        let mut report = ImportReport { roots: read_header(&header)?, ..ImportReport::default() };
        while let Some(len) = read_len(archive)? {
            let section = Bytes::from(read_bytes(archive, len, CID_LEN + MAX_BLOCK_LEN)?);
            // Ids of other kinds are shorter or longer and are refused by what they begin with.
            let cid = Cid::decode(section.get(..CID_LEN).unwrap_or(&section))?;
            let block = section.slice(CID_LEN..);
            let found = Cid::of(cid.codec(), &block);
            if found != cid {
                return Err(Error::Altered { cid, found });
            }
            if cid.codec() == Codec::DagCbor {
                Node::decode(&block)?;
            }
            report.blocks += 1;
            report.bytes += block.len() as u64;
            self.store.put(&cid, block).map_err(Error::Store)?;
        }
        Ok(report)
    }
}

fn invalid(cause: &'static str) -> Error {
    Error::Invalid { what: WHAT, cause }
}

fn read_header(bytes: &[u8]) -> Result<Vec<Cid>> {
    let mut header = Reader::new(WHAT, bytes);
    header.map(2)?;
    header.key("roots")?;
    let count = header.array(MAX_CAR_ROOTS, ROOT_LEN)?;
    let roots = (0..count).map(|_| header.cid()).collect::<Result<_>>()?;
    header.key("version")?;
    match header.unsigned()? {
        1 => {}
        found => return Err(Error::Unsupported { what: "an archive of version", found }),
    }
    header.finish()?;
    Ok(roots)
}

fn write_len(len: usize, out: &mut (impl Write + ?Sized)) -> Result<()> {
    let mut bytes = Vec::new();
    cairn_codec::varint::put(&mut bytes, len as u64);
    Ok(out.write_all(&bytes)?)
}

/// Reads a varint; `None` when the archive ends before it.
fn read_len(archive: &mut (impl Read + ?Sized)) -> Result<Option<u64>> {
    let mut bytes = Vec::new();
    loop {
        let mut byte = [0];
        match archive.read_exact(&mut byte) {
            Ok(()) => bytes.extend_from_slice(&byte),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && bytes.is_empty() => {
                return Ok(None);
            }
            Err(error) => return Err(cut_short(error)),
        }
        if byte[0] < 0x80 {
            break;
        }
        if bytes.len() == 9 {
            return Err(invalid("a length of more than nine bytes"));
        }
    }
    let len = cairn_codec::varint::take(&mut bytes.as_slice());
    len.map(Some).ok_or(invalid("a length in a longer form"))
}

/// Reads exactly `len` bytes. Memory grows with what arrives, not with what is announced.
fn read_bytes(archive: &mut (impl Read + ?Sized), len: u64, limit: usize) -> Result<Vec<u8>> {
    if len > limit as u64 {
        return Err(Error::TooLarge {
            what: "part of an archive",
            found: len,
            limit: limit as u64,
        });
    }
    let mut bytes = Vec::new();
    archive.take(len).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < len { Err(invalid("cut short")) } else { Ok(bytes) }
}

fn cut_short(error: std::io::Error) -> Error {
    if error.kind() == ErrorKind::UnexpectedEof { invalid("cut short") } else { Error::Io(error) }
}
