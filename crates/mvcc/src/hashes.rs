//! Hashes of values, computed by the caller's thread before it takes the write lock. Derived.

use std::collections::HashMap;

use cairn_types::PayloadHash;

use crate::request::{Put, Txn, TxnOp};

/// SHA-256 of the values of some puts, known by where the puts lie in memory. The puts stay
/// borrowed while this is in use, so a place means one put.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    by_place: HashMap<usize, PayloadHash>,
}

impl Hashes {
    pub(crate) fn of_put(put: &Put) -> Self {
        let mut hashes = Self::default();
        hashes.add(put);
        hashes
    }

    pub(crate) fn of_txn(txn: &Txn) -> Self {
        let mut hashes = Self::default();
        hashes.add_txn(txn);
        hashes
    }

    pub(crate) fn add(&mut self, put: &Put) {
        if !put.ignore_value {
            self.by_place.insert(place(put), cairn_codec::hash::payload(&put.value));
        }
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

    /// The hash of a put's value: known, or computed now.
    pub(crate) fn get(&self, put: &Put) -> PayloadHash {
        let known = self.by_place.get(&place(put)).copied();
        known.unwrap_or_else(|| cairn_codec::hash::payload(&put.value))
    }
}

fn place(put: &Put) -> usize {
    std::ptr::from_ref(put).addr()
}
