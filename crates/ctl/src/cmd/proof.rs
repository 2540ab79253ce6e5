//! Proofs: heads, keys, checkpoints, proof files, tiles, the graph.

mod dag;
mod heads;
mod make;
mod offline;
mod shown;

pub use dag::run as dag;
pub use heads::{checkpoint, consistency, head, keys, tiles, verify_against, vkey};
pub use make::{place_of, prove};
pub use offline::verify_proof;
pub use shown::tour;

use std::path::Path;

use anyhow::{Context, Result};

/// Reads a whole file that should be small.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// Writes a whole file.
pub(super) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}
