//! A sorted run of keys, packed: what they share once, the first two bytes of the rests apart.
//! **Derived**.

use std::cmp::Ordering;

/// Rests are cut into by ends of 16 bits; a block is split long before.
const BYTES_MAX: usize = 48 << 10;

/// Keys in order, each with a value.
#[derive(Debug)]
pub(super) struct Block<V> {
    prefix: Box<[u8]>,
    /// The first two bytes of each rest, big-endian, zero where it is shorter.
    heads: Vec<u16>,
    /// Where each rest ends in `bytes`.
    ends: Vec<u16>,
    bytes: Vec<u8>,
    values: Vec<V>,
}

impl<V> Default for Block<V> {
    fn default() -> Self {
        let (heads, ends, bytes, values) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { prefix: Box::default(), heads, ends, bytes, values }
    }
}

impl<V> Block<V> {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Bytes of the rests.
    pub(super) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn values(&self) -> &[V] {
        &self.values
    }

    pub(super) fn values_mut(&mut self) -> &mut [V] {
        &mut self.values
    }

    pub(super) fn memory(&self) -> usize {
        self.prefix.len()
            + (self.heads.capacity() + self.ends.capacity()) * 2
            + self.bytes.capacity()
            + self.values.capacity() * size_of::<V>()
    }

    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// What follows the prefix in key `index`.
    #[inline]
    pub(super) fn rest(&self, index: usize) -> &[u8] {
        &self.bytes[self.start(index)..usize::from(self.ends[index])]
    }

    pub(super) fn key(&self, index: usize) -> Vec<u8> {
        [self.prefix(), self.rest(index)].concat()
    }

    #[inline]
    fn start(&self, index: usize) -> usize {
        match index.checked_sub(1) {
            Some(before) => usize::from(self.ends[before]),
            None => 0,
        }
    }

    /// Where the key is, or where it would have to go.
    #[inline]
    pub(super) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(rest) = key.strip_prefix(&*self.prefix) else {
            return Err(if key < &*self.prefix { 0 } else { self.len() });
        };
        let head = head(rest);
        let mut low = self.heads.partition_point(|other| *other < head);
        let mut high = low + self.heads[low..].partition_point(|other| *other == head);
        while low < high {
            let middle = low.midpoint(high);
            match self.rest(middle).cmp(rest) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Whether a key can be added without the ends running over.
    pub(super) fn has_room(&self, key: &[u8]) -> bool {
        let lost = self.prefix.len() - shared(&self.prefix, key);
        let rests = self.bytes.len() + self.len() * lost;
        rests + key.len() <= BYTES_MAX
    }

    /// Adds a key at the place that [`search`](Self::search) gave.
    pub(super) fn insert(&mut self, index: usize, key: &[u8], value: V) {
        let shared = shared(&self.prefix, key);
        if shared < self.prefix.len() {
            self.set_prefix(shared);
        }
        let rest = &key[self.prefix.len()..];
        let at = self.start(index);
        let added = rest.len();
        let old_len = self.bytes.len();
        reserve(&mut self.bytes, added);
        self.bytes.resize(old_len + added, 0);
        self.bytes.copy_within(at..old_len, at + added);
        self.bytes[at..at + added].copy_from_slice(rest);
        reserve(&mut self.heads, 1);
        self.heads.insert(index, head(rest));
        reserve(&mut self.ends, 1);
        self.ends.insert(index, end(at));
        let added = end(added);
        self.ends[index..].iter_mut().for_each(|end| *end += added);
        reserve(&mut self.values, 1);
        self.values.insert(index, value);
    }

    pub(super) fn remove(&mut self, index: usize) -> V {
        let (from, to) = (self.start(index), usize::from(self.ends[index]));
        self.bytes.drain(from..to);
        self.heads.remove(index);
        self.ends.remove(index);
        let removed = end(to - from);
        self.ends[index..].iter_mut().for_each(|end| *end -= removed);
        self.values.remove(index)
    }

    /// Moves the keys from `index` on to a new block.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        let at = self.start(index);
        let mut ends = self.ends.split_off(index);
        ends.iter_mut().for_each(|end| *end -= self::end(at));
        let mut right = Self {
            prefix: self.prefix.clone(),
            heads: self.heads.split_off(index),
            ends,
            bytes: self.bytes.split_off(at),
            values: self.values.split_off(index),
        };
        self.tighten();
        right.tighten();
        right
    }

    /// Takes the keys of the block behind; `false`, and unchanged, when they are too long.
    pub(super) fn append(&mut self, right: &mut Self) -> bool {
        let shared = shared(&self.prefix, &right.prefix);
        let whole = |block: &Self| block.bytes.len() + block.len() * (block.prefix.len() - shared);
        if whole(self) + whole(right) > BYTES_MAX {
            return false;
        }
        self.set_prefix(shared);
        right.set_prefix(shared);
        let at = end(self.bytes.len());
        self.bytes.append(&mut right.bytes);
        self.heads.append(&mut right.heads);
        self.ends.extend(right.ends.drain(..).map(|end| end + at));
        self.values.append(&mut right.values);
        self.tighten();
        true
    }

    /// Moves everything that the keys share into the prefix, and gives back spare memory.
    pub(super) fn tighten(&mut self) {
        if self.len() > 1 {
            let more = shared(self.rest(0), self.rest(self.len() - 1));
            if more > 0 {
                self.set_prefix(self.prefix.len() + more);
            }
        }
        self.heads.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.bytes.shrink_to_fit();
        self.values.shrink_to_fit();
    }

    /// Lays the rests out anew behind a prefix of `len` bytes, which all keys share.
    fn set_prefix(&mut self, len: usize) {
        let old = self.prefix.len();
        if len == old || self.len() == 0 {
            self.prefix = self.prefix.get(..len).map(Box::from).unwrap_or_default();
            return;
        }
        let kept = self.prefix.get(len..).unwrap_or_default();
        let dropped = len.saturating_sub(old);
        let mut bytes = Vec::with_capacity(self.bytes.len() + kept.len() * self.len());
        let mut ends = Vec::with_capacity(self.len());
        for index in 0..self.len() {
            let from = bytes.len();
            bytes.extend_from_slice(kept);
            bytes.extend_from_slice(&self.rest(index)[dropped..]);
            self.heads[index] = head(&bytes[from..]);
            ends.push(end(bytes.len()));
        }
        let shared = self.rest(0).get(..dropped).unwrap_or_default();
        self.prefix = [&self.prefix[..old.min(len)], shared].concat().into();
        (self.bytes, self.ends) = (bytes, ends);
    }

    /// Checks that the keys are in order and well packed.
    pub(super) fn check(&self) {
        let len = self.len();
        assert!(self.heads.len() == len && self.ends.len() == len, "one of each a key");
        assert_eq!(self.start(len), self.bytes.len(), "the rests fill the bytes");
        for index in 0..len {
            assert_eq!(self.heads[index], head(self.rest(index)), "the head of the rest");
            assert!(index == 0 || self.rest(index - 1) < self.rest(index), "in order");
        }
    }
}

#[inline]
fn head(rest: &[u8]) -> u16 {
    match rest {
        [] => 0,
        [first] => u16::from(*first) << 8,
        [first, second, ..] => u16::from(*first) << 8 | u16::from(*second),
    }
}

fn end(bytes: usize) -> u16 {
    u16::try_from(bytes).expect("blocks are held below BYTES_MAX")
}

/// How many leading bytes two keys share.
pub(super) fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Room for more, with an eighth to spare: doubling would waste a quarter on average.
fn reserve<T>(items: &mut Vec<T>, more: usize) {
    if items.capacity() - items.len() < more {
        items.reserve_exact(more.max(items.len() / 8 + 4));
    }
}
