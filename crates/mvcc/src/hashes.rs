//! Hashes of values, computed by the caller's thread before it takes the write lock. Derived.

use cairn_types::PayloadHash;

use crate::request::{Put, Txn, TxnOp};

/// SHA-256 of the values of some puts, known by where the puts lie in memory. The puts stay
/// borrowed while this is in use, so a place means one put.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    /// In order of the places.
    by_place: Vec<(usize, PayloadHash)>,
}

/// The hash of one put's value; of nothing where the value is to stay.
pub(crate) fn of_put(put: &Put) -> Option<PayloadHash> {
    (!put.ignore_value).then(|| cairn_codec::hash::payload(&put.value))
}

impl Hashes {
    pub(crate) fn of_puts<'p>(puts: impl IntoIterator<Item = &'p Put>) -> Self {
        let mut hashes = Self::default();
        puts.into_iter().for_each(|put| hashes.add(put));
        hashes.sorted()
    }

    pub(crate) fn of_txn(txn: &Txn) -> Self {
        let mut hashes = Self::default();
        hashes.add_txn(txn);
        hashes.sorted()
    }

    fn sorted(mut self) -> Self {
        self.by_place.sort_unstable_by_key(|(place, _)| *place);
        self
    }

    fn add(&mut self, put: &Put) {
        self.by_place.extend(of_put(put).map(|hash| (place(put), hash)));
    }

    fn add_txn(&mut self, txn: &Txn) {
        for op in txn.success.iter().chain(&txn.failure) {
            match op {
                TxnOp::Put(put) => self.add(put),
                TxnOp::Txn(inner) => self.add_txn(inner),
                TxnOp::Range(_) | TxnOp::Delete(_) => {}
            }
        }
    }

    /// The hash of a put's value, if it is known.
    pub(crate) fn get(&self, put: &Put) -> Option<PayloadHash> {
        let found = self.by_place.binary_search_by_key(&place(put), |(place, _)| *place);
        found.ok().and_then(|at| self.by_place.get(at)).map(|(_, hash)| *hash)
    }
}

fn place(put: &Put) -> usize {
    std::ptr::from_ref(put).addr()
}
