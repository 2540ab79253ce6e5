//! A list that grows by chunks: nothing is copied when it grows, and no more than one chunk is
//! unused. Neither truth nor derived.

const CHUNK: usize = 4096;

/// A list that only grows.
#[derive(Debug)]
pub(super) struct Arena<T>(Vec<Vec<T>>);

impl<T> Arena<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * CHUNK + last.len())
    }

    /// Adds a thing; gives its index.
    pub(super) fn push(&mut self, thing: T) -> usize {
        let index = self.len();
        if index.is_multiple_of(CHUNK) {
            self.0.push(Vec::with_capacity(CHUNK));
        }
        self.0[index / CHUNK].push(thing);
        index
    }
}

impl<T> std::ops::Index<usize> for Arena<T> {
    type Output = T;
    fn index(&self, index: usize) -> &T {
        &self.0[index / CHUNK][index % CHUNK]
    }
}

impl<T> std::ops::IndexMut<usize> for Arena<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.0[index / CHUNK][index % CHUNK]
    }
}
