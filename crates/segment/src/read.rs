//! Reading records by LSN, in order, and by stream and sequence. No lock is held while a
//! record is looked at, and nothing is copied when the segment is mapped and uncompressed.

mod batch;
mod record;
mod scan;
mod stream;

pub(crate) use batch::{Batches, LoadedBatch};
pub use record::{Record, RecordRef};
pub use scan::Scan;
pub use stream::StreamScan;
