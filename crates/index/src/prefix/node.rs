//! The tree over the blocks: descending, splitting, merging, counting. **Derived**.

use super::block::{Block, shared};

/// More keys a leaf mean less memory a key and longer moves on insertion.
const LEAF_KEYS_MAX: usize = 128;
const INNER_KEYS_MAX: usize = 64;
/// A block with longer rests is split even when it has few keys.
const SPLIT_BYTES: usize = 16 << 10;

#[derive(Debug)]
pub(super) enum Node<V> {
    Leaf(Block<V>),
    Inner(Inner<V>),
}

/// Children in order. The first has no key: what lies below all separators is its own.
#[derive(Debug)]
pub(super) struct Inner<V> {
    first: Child<V>,
    /// Each child under its separator: at most its first key, and above the last key of the
    /// child before.
    others: Block<Child<V>>,
}

#[derive(Debug)]
pub(super) struct Child<V> {
    pub(super) node: Box<Node<V>>,
    /// Keys in all leaves below.
    pub(super) count: usize,
}

/// What an insertion leaves to the parent.
struct Inserted<V> {
    old: Option<V>,
    /// A new node behind this one, and its separator.
    split: Option<(Vec<u8>, Node<V>)>,
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self::Leaf(Block::default())
    }
}

impl<V> Node<V> {
    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        let mut node = self;
        loop {
            match node {
                Self::Leaf(block) => return block.values().get(block.search(key).ok()?),
                Self::Inner(inner) => node = &inner.child(inner.route(key))?.node,
            }
        }
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        match self {
            Self::Leaf(block) => {
                let index = block.search(key).ok()?;
                block.values_mut().get_mut(index)
            }
            Self::Inner(inner) => {
                let at = inner.route(key);
                inner.child_mut(at).node.get_mut(key)
            }
        }
    }

    /// How many keys are below `key`, or not above it.
    pub(super) fn rank(&self, key: &[u8], with_key: bool) -> usize {
        let (mut node, mut before) = (self, 0);
        loop {
            match node {
                Self::Leaf(block) => {
                    return before
                        + match block.search(key) {
                            Ok(index) => index + usize::from(with_key),
                            Err(index) => index,
                        };
                }
                Self::Inner(inner) => {
                    let at = inner.route(key);
                    before += inner.children().take(at).map(|child| child.count).sum::<usize>();
                    let Some(child) = inner.child(at) else { return before };
                    node = &child.node;
                }
            }
        }
    }

    pub(super) fn insert_at_root(&mut self, key: &[u8], value: V) -> Option<V> {
        let Inserted { old, split } = self.insert(key, value);
        if let Some((separator, right)) = split {
            let first = Child::of(std::mem::take(self));
            let mut others = Block::default();
            others.insert(0, &separator, Child::of(right));
            *self = Self::Inner(Inner { first, others });
        }
        old
    }

    pub(super) fn remove_at_root(&mut self, key: &[u8]) -> Option<V> {
        let old = self.remove(key)?;
        while let Self::Inner(inner) = self
            && inner.others.len() == 0
        {
            *self = std::mem::take(&mut *inner.first.node);
        }
        Some(old)
    }

    fn insert(&mut self, key: &[u8], value: V) -> Inserted<V> {
        match self {
            Self::Leaf(block) => match block.search(key) {
                Ok(index) => {
                    let old = std::mem::replace(&mut block.values_mut()[index], value);
                    Inserted { old: Some(old), split: None }
                }
                Err(index) => {
                    let split = place(block, index, key, value, LEAF_KEYS_MAX);
                    let split = split.map(|right| (between(block, &right), Self::Leaf(right)));
                    Inserted { old: None, split }
                }
            },
            Self::Inner(inner) => {
                let at = inner.route(key);
                let child = inner.child_mut(at);
                let Inserted { old, split } = child.node.insert(key, value);
                child.count += usize::from(old.is_none());
                let Some((separator, right)) = split else { return Inserted { old, split: None } };
                let right = Child::of(right);
                child.count -= right.count;
                let split = place(&mut inner.others, at, &separator, right, INNER_KEYS_MAX);
                let split = split.map(|mut others| {
                    let separator = others.key(0);
                    let first = others.remove(0);
                    (separator, Self::Inner(Inner { first, others }))
                });
                Inserted { old, split }
            }
        }
    }

    fn remove(&mut self, key: &[u8]) -> Option<V> {
        match self {
            Self::Leaf(block) => Some(block.remove(block.search(key).ok()?)),
            Self::Inner(inner) => {
                let at = inner.route(key);
                let child = inner.child_mut(at);
                let old = child.node.remove(key)?;
                child.count -= 1;
                if child.count == 0 {
                    inner.drop_child(at);
                } else if child.node.entries() < child.node.entries_max() / 4 {
                    inner.merge(at);
                }
                Some(old)
            }
        }
    }

    fn entries(&self) -> usize {
        match self {
            Self::Leaf(block) => block.len(),
            Self::Inner(inner) => inner.len(),
        }
    }

    fn entries_max(&self) -> usize {
        if matches!(self, Self::Leaf(_)) { LEAF_KEYS_MAX } else { INNER_KEYS_MAX }
    }

    fn count(&self) -> usize {
        match self {
            Self::Leaf(block) => block.len(),
            Self::Inner(inner) => inner.children().map(|child| child.count).sum(),
        }
    }

    /// Takes over the node behind, whose separator this is; `false`, with nothing changed, when
    /// both are too large for one.
    fn append(&mut self, separator: &[u8], right: &mut Self) -> bool {
        if self.entries() + right.entries() > self.entries_max() * 3 / 4 {
            return false;
        }
        match (self, right) {
            (Self::Leaf(left), Self::Leaf(right)) => {
                left.bytes_len() + right.bytes_len() <= SPLIT_BYTES && left.append(right)
            }
            (Self::Inner(left), Self::Inner(right)) => {
                if !right.others.has_room(separator) {
                    return false;
                }
                let first = std::mem::take(&mut right.first);
                right.others.insert(0, separator, first);
                let joined = left.others.append(&mut right.others);
                if !joined {
                    right.first = right.others.remove(0);
                }
                joined
            }
            _ => false,
        }
    }

    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Leaf(block) => block.memory(),
            Self::Inner(inner) => {
                let below = |child: &Child<V>| size_of::<Self>() + child.node.memory();
                inner.others.memory() + inner.children().map(below).sum::<usize>()
            }
        }
    }

    /// Checks order, bounds and counts; gives the count of keys.
    pub(super) fn check(&self, from: Option<&[u8]>, to: Option<&[u8]>) -> usize {
        let inside =
            |key: &[u8]| from.is_none_or(|from| from <= key) && to.is_none_or(|to| key < to);
        match self {
            Self::Leaf(block) => {
                block.check();
                assert!((0..block.len()).all(|at| inside(&block.key(at))), "between separators");
                block.len()
            }
            Self::Inner(inner) => {
                let others = &inner.others;
                others.check();
                assert!((0..others.len()).all(|at| inside(&others.key(at))), "between separators");
                let mut sum = 0;
                for (at, child) in inner.children().enumerate() {
                    let key = at.checked_sub(1).map(|at| others.key(at));
                    let next = (at < others.len()).then(|| others.key(at));
                    let count = child.node.check(key.as_deref().or(from), next.as_deref().or(to));
                    assert_eq!(count, child.count, "the count of keys below");
                    assert!(count > 0, "no empty node stays in the tree");
                    sum += count;
                }
                sum
            }
        }
    }
}

impl<V> Default for Child<V> {
    fn default() -> Self {
        Self { node: Box::default(), count: 0 }
    }
}

impl<V> Child<V> {
    fn of(node: Node<V>) -> Self {
        Self { count: node.count(), node: Box::new(node) }
    }
}

impl<V> Inner<V> {
    pub(super) fn len(&self) -> usize {
        self.others.len() + 1
    }

    #[inline]
    pub(super) fn child(&self, index: usize) -> Option<&Child<V>> {
        match index.checked_sub(1) {
            None => Some(&self.first),
            Some(other) => self.others.values().get(other),
        }
    }

    pub(super) fn children(&self) -> impl Iterator<Item = &Child<V>> {
        std::iter::once(&self.first).chain(self.others.values())
    }

    /// A child by the number that [`route`](Self::route) gave.
    fn child_mut(&mut self, index: usize) -> &mut Child<V> {
        match index.checked_sub(1) {
            None => &mut self.first,
            Some(other) => &mut self.others.values_mut()[other],
        }
    }

    /// The number of the child whose separators surround `key`.
    #[inline]
    fn route(&self, key: &[u8]) -> usize {
        match self.others.search(key) {
            Ok(index) => index + 1,
            Err(index) => index,
        }
    }

    /// Drops an empty child, unless it is the only one: then the parent drops this node.
    fn drop_child(&mut self, index: usize) {
        if self.others.len() == 0 {
            return;
        }
        match index.checked_sub(1) {
            None => self.first = self.others.remove(0),
            Some(other) => drop(self.others.remove(other)),
        }
    }

    /// Joins a child that has few entries with a neighbour, where both fit into one.
    fn merge(&mut self, index: usize) {
        for left in [index.checked_sub(1), Some(index)].into_iter().flatten() {
            if left >= self.others.len() {
                continue;
            }
            let separator = self.others.key(left);
            let mut right = std::mem::take(&mut self.others.values_mut()[left]);
            let child = self.child_mut(left);
            if child.node.append(&separator, &mut right.node) {
                child.count += right.count;
                self.others.remove(left);
                return;
            }
            self.others.values_mut()[left] = right;
        }
    }
}

/// Inserts into a block and gives what had to be split off behind it.
fn place<V>(
    block: &mut Block<V>,
    index: usize,
    key: &[u8],
    value: V,
    keys_max: usize,
) -> Option<Block<V>> {
    let len = block.len();
    if !block.has_room(key) {
        // Few long keys, or a key outside a long prefix, which goes first or last: alone then.
        let mut right = block.split_off(index);
        let is_left_smaller = block.bytes_len() <= right.bytes_len();
        if index == 0 || (index < len && is_left_smaller) {
            block.insert(index, key, value);
        } else {
            right.insert(0, key, value);
        }
        return Some(right);
    }
    block.insert(index, key, value);
    if (len < keys_max && block.bytes_len() <= SPLIT_BYTES) || len == 0 {
        return None;
    }
    // Keys that come in order leave full blocks behind instead of half empty ones.
    let middle = if index == len { len } else { block.len() / 2 };
    Some(block.split_off(middle))
}

/// The shortest key above all of `left` and not above any of `right`.
fn between<V>(left: &Block<V>, right: &Block<V>) -> Vec<u8> {
    let mut first = right.key(0);
    let same = shared(&left.key(left.len() - 1), &first);
    first.truncate(same + 1);
    first
}
