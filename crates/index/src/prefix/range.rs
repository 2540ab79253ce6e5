//! Walking a range of the prefix index in both directions. **Derived**.

use super::node::Node;

/// The keys of a range in order. Keys are put together from their parts, so they are lent:
/// `step` and `step_back` instead of an iterator.
///
/// ```
/// # let mut index = cairn_index::PrefixIndex::new();
/// # index.insert(b"a", 1)?;
/// let mut keys = index.range(..);
/// while let Some((key, value)) = keys.step() {
///     println!("{key:?} {value}");
/// }
/// # Ok::<(), cairn_index::Error>(())
/// ```
#[derive(Debug)]
pub struct Range<'a, V> {
    root: &'a Node<V>,
    front: Walk<'a, V>,
    back: Walk<'a, V>,
    /// Ranks of the next key and of the one behind the last.
    start: usize,
    end: usize,
}

/// A place in the tree: nodes from the root, and the entry in each; empty before the first step.
#[derive(Debug)]
struct Walk<'a, V> {
    path: Vec<(&'a Node<V>, usize)>,
    key: Vec<u8>,
    prefix_len: usize,
}

impl<'a, V> Range<'a, V> {
    pub(super) fn new(root: &'a Node<V>, start: usize, end: usize) -> Self {
        Self { root, front: Walk::new(), back: Walk::new(), start, end: end.max(start) }
    }

    /// How many keys are left. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether no key is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Leaves out the next `count` keys. O(log n), whatever the count.
    pub fn skip(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        self.front.path.clear();
    }

    /// Leaves out the last `count` keys. O(log n), whatever the count.
    pub fn skip_back(&mut self, count: usize) {
        self.end = self.end.saturating_sub(count).max(self.start);
        self.back.path.clear();
    }

    /// The next key and its value.
    pub fn step(&mut self) -> Option<(&[u8], &'a V)> {
        if self.is_empty() {
            return None;
        }
        if self.front.path.is_empty() {
            self.front.seek(self.root, self.start);
        } else {
            self.front.forward();
        }
        self.start += 1;
        self.front.entry()
    }

    /// The last key that is left and its value.
    pub fn step_back(&mut self) -> Option<(&[u8], &'a V)> {
        if self.is_empty() {
            return None;
        }
        self.end -= 1;
        if self.back.path.is_empty() {
            self.back.seek(self.root, self.end);
        } else {
            self.back.backward();
        }
        self.back.entry()
    }

    /// The remaining keys with their values, copied out: at most `limit`.
    #[must_use]
    pub fn page(&mut self, limit: usize) -> Vec<(Vec<u8>, &'a V)> {
        let mut page = Vec::with_capacity(limit.min(self.len()));
        while page.len() < limit
            && let Some((key, value)) = self.step()
        {
            page.push((key.to_vec(), value));
        }
        page
    }
}

impl<'a, V> Walk<'a, V> {
    fn new() -> Self {
        Self { path: Vec::new(), key: Vec::new(), prefix_len: 0 }
    }

    /// Goes to the key number `rank` of the tree.
    fn seek(&mut self, root: &'a Node<V>, mut rank: usize) {
        self.path.clear();
        let mut node = root;
        while let Node::Inner(inner) = node {
            let mut at = 0;
            for child in inner.children() {
                if rank < child.count {
                    break;
                }
                rank -= child.count;
                at += 1;
            }
            let Some(child) = inner.child(at) else { break };
            self.path.push((node, at));
            node = &child.node;
        }
        self.path.push((node, rank));
        self.enter();
    }

    fn forward(&mut self) {
        let Some((Node::Leaf(block), at)) = self.path.last_mut() else { return };
        *at += 1;
        if *at < block.len() {
            return;
        }
        self.path.pop();
        while let Some((Node::Inner(inner), at)) = self.path.last_mut() {
            *at += 1;
            let Some(child) = inner.child(*at) else {
                self.path.pop();
                continue;
            };
            self.descend(&child.node, false);
            return;
        }
    }

    fn backward(&mut self) {
        while let Some((node, at)) = self.path.last_mut() {
            let Some(before) = at.checked_sub(1) else {
                self.path.pop();
                continue;
            };
            *at = before;
            match *node {
                Node::Inner(inner) => {
                    if let Some(child) = inner.child(before) {
                        self.descend(&child.node, true);
                    }
                }
                Node::Leaf(_) => {}
            }
            return;
        }
    }

    fn descend(&mut self, mut node: &'a Node<V>, to_last: bool) {
        while let Node::Inner(inner) = node {
            let at = if to_last { inner.len() - 1 } else { 0 };
            let Some(child) = inner.child(at) else { break };
            self.path.push((node, at));
            node = &child.node;
        }
        if let Node::Leaf(block) = node {
            self.path.push((node, if to_last { block.len() - 1 } else { 0 }));
        }
        self.enter();
    }

    /// Keeps what the keys of the leaf share; only the rest is copied at each step.
    fn enter(&mut self) {
        self.key.clear();
        if let Some((Node::Leaf(block), _)) = self.path.last() {
            self.key.extend_from_slice(block.prefix());
        }
        self.prefix_len = self.key.len();
    }

    fn entry(&mut self) -> Option<(&[u8], &'a V)> {
        let Some(&(Node::Leaf(block), at)) = self.path.last() else { return None };
        let value = block.values().get(at)?;
        self.key.truncate(self.prefix_len);
        self.key.extend_from_slice(block.rest(at));
        Some((&self.key, value))
    }
}
