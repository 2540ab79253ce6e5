//! Random bits for event ids, fetched from the log's source by the page: asking the system for
//! ten bytes at a time would cost an append a fifth of its time. Not for secrets.

use std::sync::{Mutex, PoisonError};

use cairn_vfs::Rng;

/// Bytes fetched at a time.
const PAGE: usize = 4096;

/// Random bytes at hand.
#[derive(Debug)]
pub(crate) struct RandomPool {
    page: Mutex<Page>,
}

#[derive(Debug)]
struct Page {
    bytes: Box<[u8; PAGE]>,
    used: usize,
}

impl Default for RandomPool {
    fn default() -> Self {
        Self { page: Mutex::new(Page { bytes: Box::new([0; PAGE]), used: PAGE }) }
    }
}

impl RandomPool {
    /// As many random bytes as asked for; no byte is given twice.
    pub(crate) fn take<const N: usize>(&self, source: &dyn Rng) -> [u8; N] {
        const { assert!(N <= PAGE, "a page holds what is asked for") };
        let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        if page.used + N > PAGE {
            source.fill(&mut page.bytes[..]);
            page.used = 0;
        }
        let mut taken = [0; N];
        let start = page.used;
        taken.copy_from_slice(&page.bytes[start..start + N]);
        // What was given must not lie around for whoever reads this memory.
        page.bytes[start..start + N].fill(0);
        page.used += N;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_vfs::SeededRng;

    #[test]
    fn no_byte_is_given_twice() {
        let (pool, source) = (RandomPool::default(), SeededRng::new(1));
        let taken: std::collections::BTreeSet<[u8; 10]> =
            (0..5000).map(|_| pool.take(&source)).collect();
        assert_eq!(taken.len(), 5000);
        assert!(!taken.contains(&[0; 10]));
    }
}
