//! A page: up to 64 keys that share a prefix, sorted, with the hashes of the four levels below
//! the prefix kept. **Derived** from the entries.
//!
//! ```text
//!                    1 = root of the page
//!                2       3              kept: 31 nodes
//!              ...............
//!  buckets 16 17 ......... 30 31        about three keys each, hashed anew when one changes
//! ```

use super::entry::{Entry, subtree};
use super::node::Node;
use super::path::PathHash;

/// Most keys in a page, but for pages whose prefix is as long as it may get.
pub(super) const PAGE_KEYS_MAX: usize = 64;
const BUCKET_BITS: u32 = 4;
const BUCKETS: usize = 1 << BUCKET_BITS;
/// Room is made for so many keys at once: doubling would waste a third.
const GROWTH: usize = 8;

/// Keys that share their first `depth` bits.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) depth: u32,
    pub(super) entries: Vec<Entry>,
    nodes: [Node; 2 * BUCKETS],
}

impl Page {
    /// A page over sorted entries.
    pub(super) fn new(depth: u32, entries: Vec<Entry>) -> Self {
        let mut page = Self { depth, entries, nodes: [Node::Empty; 2 * BUCKETS] };
        page.rehash(u32::from(u16::MAX));
        page
    }

    /// The node at the page's prefix.
    pub(super) fn root(&self) -> Node {
        self.nodes[1]
    }

    /// Puts a new key at its place.
    pub(super) fn insert(&mut self, at: usize, entry: Entry) {
        if self.entries.len() == self.entries.capacity() {
            // A page that is far too large is being filled at once and will be split.
            let room = if self.entries.len() > PAGE_KEYS_MAX { self.entries.len() } else { GROWTH };
            self.entries.reserve_exact(room);
        }
        self.entries.insert(at, entry);
    }

    /// Which bit stands for the key in [`rehash`](Self::rehash).
    pub(super) fn bucket_bit(&self, path: &PathHash) -> u32 {
        1 << self.bucket(path)
    }

    fn bucket(&self, path: &PathHash) -> usize {
        path.prefix(self.depth + BUCKET_BITS) % BUCKETS
    }

    /// Computes the nodes of changed buckets and above them.
    pub(super) fn rehash(&mut self, changed: u32) {
        for bucket in (0..BUCKETS).filter(|bucket| changed & (1 << bucket) != 0) {
            let start = self.entries.partition_point(|entry| self.bucket(&entry.path) < bucket);
            let rest = self.entries.get(start..).unwrap_or_default();
            let len = rest.partition_point(|entry| self.bucket(&entry.path) == bucket);
            let depth = (self.depth + BUCKET_BITS) as usize;
            self.nodes[BUCKETS + bucket] = subtree(&rest[..len], depth);
        }
        let mut changed = changed << BUCKETS;
        for index in (1..BUCKETS).rev() {
            if changed & (0b11 << (2 * index)) != 0 {
                self.nodes[index] = Node::join(&self.nodes[2 * index], &self.nodes[2 * index + 1]);
                changed |= 1 << index;
            }
        }
    }

    /// The node at the first `depth` bits of a path that is under this page.
    pub(super) fn node(&self, path: &PathHash, depth: usize) -> Node {
        let below = depth - self.depth as usize;
        if below <= BUCKET_BITS as usize {
            let index = (BUCKETS + self.bucket(path)) >> (BUCKET_BITS as usize - below);
            return self.nodes[index];
        }
        subtree(self.under(path, depth), depth)
    }

    /// The entries that share the first `depth` bits with a path.
    pub(super) fn under(&self, path: &PathHash, depth: usize) -> &[Entry] {
        let shares = |entry: &Entry| entry.path.shared_bits(path) >= depth;
        let start = self.entries.partition_point(|entry| entry.path < *path && !shares(entry));
        let rest = self.entries.get(start..).unwrap_or_default();
        let len = rest.partition_point(shares);
        rest.get(..len).unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        assert!(self.entries.is_sorted_by(|a, b| a.path < b.path), "sorted, each key once");
        let fresh = Self::new(self.depth, self.entries.clone());
        assert_eq!(self.nodes, fresh.nodes, "every node is what its entries say");
    }
}
