//! The trie in memory: pages found through a directory, and the nodes above them. **Derived**:
//! built from the log's puts and deletes.
//!
//! ```text
//! directory: the first D bits ─▶ page        nodes: 1 = root, 2n and 2n+1 below n,
//! (several slots share a page                 down to the pages' prefixes
//!  whose prefix is shorter)
//! ```
//!
//! A page that is too full divides by its next bit; the directory doubles when no slot tells
//! the halves apart. How deep it may get depends on the number of keys, so that keys chosen to
//! share a prefix make one page large and not the directory. `decisions/0014` has the figures.

use super::entry::Entry;
use super::head::MapHead;
use super::node::Node;
use super::page::{PAGE_KEYS_MAX, Page};
use super::path::PathHash;
use crate::hashing::Hash;
use cairn_types::Lsn;

/// Deepest prefix of a page.
const DEPTH_MAX: u32 = 26;
/// How much deeper than evenly spread keys would need.
const DEPTH_SLACK: u32 = 4;

/// The map of all keys, in memory: about 120 B a key, and 32 B for each bit of a version
/// count that is no power of two.
///
/// See the [module](super) for an example.
#[derive(Debug)]
pub struct KeyMap {
    pub(super) pages: Vec<Page>,
    directory: Vec<u32>,
    /// Bits that the directory looks at.
    bits: u32,
    nodes: Vec<Node>,
    pub(super) revision: u64,
    pub(super) lsn_end: Lsn,
    pub(super) key_count: u64,
}

/// What stands at a path, with what is needed to compute the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathProof {
    /// The other side at each depth, from the root down; 32 zero bytes where it is empty.
    pub siblings: Vec<Hash>,
    /// The entry at the end, if there is one: path, count of versions, root over them. It is of
    /// another key when that is alone under the prefix.
    pub entry: Option<(PathHash, u64, Hash)>,
}

/// Nodes that changed, by depth.
#[derive(Debug, Default)]
pub(super) struct Touched(Vec<Vec<usize>>);

impl Touched {
    fn add(&mut self, depth: u32, index: usize) {
        let depth = depth as usize;
        if self.0.len() <= depth {
            self.0.resize(depth + 1, Vec::new());
        }
        self.0[depth].push(index);
    }
}

impl Default for KeyMap {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyMap {
    /// A map without keys, from before the first revision.
    #[must_use]
    pub fn new() -> Self {
        Self {
            pages: vec![Page::new(0, Vec::new())],
            directory: vec![0],
            bits: 0,
            nodes: vec![Node::Empty; 2],
            revision: 0,
            lsn_end: Lsn::ZERO,
            key_count: 0,
        }
    }

    /// What the map commits to now.
    #[must_use]
    pub fn head(&self) -> MapHead {
        let Self { revision, lsn_end, key_count, .. } = *self;
        MapHead { revision, lsn_end, key_count, root: self.root() }
    }

    /// Root of the trie, 32 zero bytes without keys.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.nodes[1].hash()
    }

    /// How many versions of a key the map commits to, 0 for one that never was.
    #[must_use]
    pub fn version_count(&self, path: &PathHash) -> u64 {
        self.entry(path).map_or(0, |entry| entry.count)
    }

    /// The way from the root to a key, or to where it would stand. A few microseconds.
    #[must_use]
    pub fn prove_path(&self, path: &PathHash) -> PathProof {
        let mut siblings = Vec::with_capacity(32);
        loop {
            let depth = siblings.len();
            match self.node(path, depth) {
                Node::Empty => return PathProof { siblings, entry: None },
                Node::Single(_) => {
                    let entry = self.single(path, depth);
                    return PathProof {
                        siblings,
                        entry: Some((entry.path, entry.count, entry.root)),
                    };
                }
                Node::Inner(_) => siblings.push(self.node(&path.flipped(depth), depth + 1).hash()),
            }
        }
    }

    pub(super) fn entry(&self, path: &PathHash) -> Option<&Entry> {
        let entries = &self.pages[self.page_id(path)].entries;
        let at = entries.binary_search_by(|entry| entry.path.cmp(path)).ok()?;
        entries.get(at)
    }

    /// Entries in order of their paths.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        let mut ids: Vec<u32> = self.directory.clone();
        ids.dedup();
        ids.into_iter().flat_map(|id| &self.pages[id as usize].entries)
    }

    /// A map over sorted entries.
    pub(super) fn from_entries(entries: Vec<Entry>) -> Self {
        let mut map = Self::new();
        map.key_count = entries.len() as u64;
        map.pages[0].entries = entries;
        let mut touched = Touched::default();
        let path = PathHash::new([0; 32]);
        map.settle_page(0, &path, u32::from(u16::MAX), &mut touched);
        map.settle(touched);
        map
    }

    /// Number of the page that a path belongs to.
    pub(super) fn page_id(&self, path: &PathHash) -> usize {
        self.directory[path.prefix(self.bits)] as usize
    }

    /// The node at the first `depth` bits of a path. Above the pages its sibling is above them
    /// or at the root of one, so both are in the table.
    fn node(&self, path: &PathHash, depth: usize) -> Node {
        let page = &self.pages[self.page_id(path)];
        match u32::try_from(depth) {
            Ok(bits) if bits <= page.depth => self.nodes[(1 << bits) | path.prefix(bits)],
            _ => page.node(path, depth),
        }
    }

    /// The only entry that shares the first `depth` bits with a path.
    fn single(&self, path: &PathHash, depth: usize) -> &Entry {
        let bits = u32::try_from(depth).map_or(self.bits, |depth| depth.min(self.bits));
        let first = path.prefix(bits) << (self.bits - bits);
        let slots = first..first + (1 << (self.bits - bits));
        let mut pages = self.directory[slots].iter().map(|id| &self.pages[*id as usize]);
        pages.find_map(|page| page.under(path, depth).first()).expect("the node says there is one")
    }

    /// Brings a page's nodes up to date after its keys changed, and divides it when it is too
    /// full. `path` is any path under the page.
    pub(super) fn settle_page(
        &mut self,
        id: usize,
        path: &PathHash,
        changed: u32,
        touched: &mut Touched,
    ) {
        let depth = self.pages[id].depth;
        let mut parts = Vec::new();
        let deepest = self.deepest().max(depth);
        plan(&self.pages[id].entries, depth, path.prefix(depth), deepest, &mut parts);
        if let [whole] = parts.as_slice() {
            self.pages[id].rehash(changed);
            self.note(id, whole, touched);
            return;
        }
        let mut rest = std::mem::take(&mut self.pages[id].entries).into_iter();
        for (place, part) in parts.iter().enumerate() {
            self.grow(part.depth);
            let page = Page::new(part.depth, rest.by_ref().take(part.len).collect());
            let part_id = if place == 0 { id } else { self.pages.len() };
            if place == 0 {
                self.pages[id] = page
            } else {
                self.pages.push(page)
            }
            self.note(part_id, part, touched);
        }
    }

    /// Deepest prefix that a page may have with so many keys.
    fn deepest(&self) -> u32 {
        let even = self.key_count / PAGE_KEYS_MAX as u64;
        (DEPTH_SLACK + (64 - even.leading_zeros())).min(DEPTH_MAX)
    }

    fn grow(&mut self, depth: u32) {
        while self.bits < depth {
            self.directory = self.directory.iter().flat_map(|id| [*id; 2]).collect();
            self.bits += 1;
            self.nodes.resize(2 << self.bits, Node::Empty);
        }
    }

    /// Enters a page into the directory and its root into the table.
    fn note(&mut self, id: usize, part: &Part, touched: &mut Touched) {
        let spare = self.bits - part.depth;
        let slots = part.prefix << spare..(part.prefix + 1) << spare;
        let number = u32::try_from(id).expect("fewer pages than slots");
        self.directory[slots].fill(number);
        let index = (1 << part.depth) | part.prefix;
        self.nodes[index] = self.pages[id].root();
        touched.add(part.depth, index);
    }

    /// Computes the nodes above those that changed, each once.
    pub(super) fn settle(&mut self, mut touched: Touched) {
        for depth in (1..touched.0.len()).rev() {
            let mut indices = std::mem::take(&mut touched.0[depth]);
            indices.sort_unstable();
            for pair in indices.chunk_by(|a, b| a >> 1 == b >> 1) {
                let parent = pair[0] >> 1;
                self.nodes[parent] =
                    Node::join(&self.nodes[2 * parent], &self.nodes[2 * parent + 1]);
                touched.0[depth - 1].push(parent);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        self.pages.iter().for_each(Page::check_invariants);
        assert_eq!(self.entries().count() as u64, self.key_count, "every key is reachable");
        let entries: Vec<Entry> = self.entries().cloned().collect();
        let root = super::entry::subtree(&entries, 0);
        assert_eq!(self.nodes[1], root, "the root is what the entries say");
    }
}

/// One page to be: a prefix and how many of the sorted entries it takes.
#[derive(Debug)]
struct Part {
    depth: u32,
    prefix: usize,
    len: usize,
}

/// Divides sorted entries until every part fits a page or is as deep as it may get.
fn plan(entries: &[Entry], depth: u32, prefix: usize, deepest: u32, parts: &mut Vec<Part>) {
    if entries.len() <= PAGE_KEYS_MAX || depth >= deepest {
        parts.push(Part { depth, prefix, len: entries.len() });
        return;
    }
    let (left, right) = super::entry::divide(entries, depth as usize);
    plan(left, depth + 1, prefix << 1, deepest, parts);
    plan(right, depth + 1, (prefix << 1) | 1, deepest, parts);
}
