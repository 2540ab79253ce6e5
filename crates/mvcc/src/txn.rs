//! etcd's transactions: all comparisons are made on the state before, the whole path is chosen
//! and checked, and only then is anything changed.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bytes::Bytes;
use cairn_types::StreamId;

use crate::overlay::{Seen, View};
use crate::plan::Planner;
use crate::range::check_request;
use crate::request::{Compare, CompareOp, CompareTarget, Range, Txn, TxnOp};
use crate::{Error, KeyValue, RangeResponse, Result};

/// Operations that one level of a transaction may hold.
pub(crate) const OPS_MAX: usize = 128;

/// The answer to a put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutResponse {
    /// The revision after it.
    pub revision: u64,
    /// The version before, when it was asked for and there was one.
    pub prev_kv: Option<KeyValue>,
}

/// The answer to a delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteResponse {
    /// The revision after it: unchanged when nothing was deleted.
    pub revision: u64,
    /// Keys deleted.
    pub deleted: u64,
    /// Their last versions in order of the keys, when they were asked for.
    pub prev_kvs: Vec<KeyValue>,
}

/// The answer to one operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnResult {
    /// To a read.
    Range(RangeResponse),
    /// To a put.
    Put(PutResponse),
    /// To a delete.
    Delete(DeleteResponse),
    /// To a transaction within.
    Txn(TxnResponse),
}

/// The answer to a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnResponse {
    /// The revision after it: unchanged when nothing was changed.
    pub revision: u64,
    /// Which branch was taken.
    pub succeeded: bool,
    /// Answers to its operations in order.
    pub results: Vec<TxnResult>,
}

/// The branches taken, decided before anything changes.
#[derive(Debug)]
struct Path {
    taken: bool,
    nested: Vec<Path>,
}

impl Planner<'_> {
    /// Runs a transaction.
    ///
    /// # Errors
    /// [`Error::TooManyOps`], [`Error::DuplicateKey`], and whatever an operation of the branch
    /// taken would be refused for; nothing was changed then.
    pub fn txn(&mut self, txn: &Txn) -> Result<TxnResponse> {
        check_size(txn, OPS_MAX)?;
        check_keys(&txn.success)?;
        check_keys(&txn.failure)?;
        let path = choose(&self.view(), txn, self)?;
        self.check_path(txn, &path)?;
        let mut response = self.run(txn, &path)?;
        let revision = self.answer_revision();
        stamp(&mut response, revision);
        Ok(response)
    }

    fn check_path(&self, txn: &Txn, path: &Path) -> Result<()> {
        let mut nested = path.nested.iter();
        for op in branch(txn, path) {
            match op {
                TxnOp::Range(request) => {
                    check_request(request)?;
                    self.check_revision(request.revision)?;
                }
                TxnOp::Put(put) => self.check_put(put)?,
                TxnOp::Delete(delete) => {
                    if delete.range.key.is_empty() && delete.range.is_single() {
                        return Err(Error::EmptyKey);
                    }
                }
                TxnOp::Txn(inner) => {
                    let path = nested.next().expect("one path for each nested transaction");
                    self.check_path(inner, path)?;
                }
            }
        }
        Ok(())
    }

    fn run(&mut self, txn: &Txn, path: &Path) -> Result<TxnResponse> {
        let mut nested = path.nested.iter();
        let mut results = Vec::new();
        for op in branch(txn, path) {
            results.push(match op {
                TxnOp::Range(request) => TxnResult::Range(self.range(request)?),
                TxnOp::Put(put) => TxnResult::Put(self.put(put)?),
                TxnOp::Delete(delete) => TxnResult::Delete(self.delete(delete)?),
                TxnOp::Txn(inner) => {
                    let path = nested.next().expect("one path for each nested transaction");
                    TxnResult::Txn(self.run(inner, path)?)
                }
            });
        }
        Ok(TxnResponse { revision: self.answer_revision(), succeeded: path.taken, results })
    }
}

fn branch<'t>(txn: &'t Txn, path: &Path) -> &'t [TxnOp] {
    if path.taken { &txn.success } else { &txn.failure }
}

/// Inner answers carry the revision of the whole transaction.
fn stamp(response: &mut TxnResponse, revision: u64) {
    response.revision = revision;
    for result in &mut response.results {
        match result {
            TxnResult::Range(range) => range.revision = revision,
            TxnResult::Put(put) => put.revision = revision,
            TxnResult::Delete(delete) => delete.revision = revision,
            TxnResult::Txn(inner) => stamp(inner, revision),
        }
    }
}

/// A nested transaction gets what its parent leaves over.
fn check_size(txn: &Txn, limit: usize) -> Result<()> {
    let most = txn.compare.len().max(txn.success.len()).max(txn.failure.len());
    if most > limit {
        return Err(Error::TooManyOps { limit: OPS_MAX });
    }
    for op in txn.success.iter().chain(&txn.failure) {
        if let TxnOp::Txn(inner) = op {
            check_size(inner, limit - most)?;
        }
    }
    Ok(())
}

type Key = (StreamId, Bytes);

/// What a list of operations puts and deletes.
#[derive(Debug, Default)]
struct Touched {
    puts: BTreeMap<Key, ()>,
    deletes: Vec<(StreamId, Range)>,
}

impl Touched {
    fn deletes_key(&self, key: &Key) -> bool {
        self.deletes.iter().any(|(space, range)| *space == key.0 && range.contains(&key.1))
    }

    fn put(&mut self, key: Key) -> Result<()> {
        if self.deletes_key(&key) || self.puts.contains_key(&key) {
            return Err(Error::DuplicateKey { key: key.1 });
        }
        self.puts.insert(key, ());
        Ok(())
    }
}

/// No key is put twice, or put and deleted, by operations that can both be run.
fn check_keys(ops: &[TxnOp]) -> Result<Touched> {
    let mut touched = Touched::default();
    for op in ops {
        if let TxnOp::Delete(delete) = op {
            touched.deletes.push((delete.space, delete.range.clone()));
        }
    }
    for op in ops {
        let TxnOp::Txn(inner) = op else { continue };
        let (then, or_else) = (check_keys(&inner.success)?, check_keys(&inner.failure)?);
        for key in then.puts.keys() {
            touched.put(key.clone())?;
        }
        for key in or_else.puts.keys() {
            // The branches of one transaction exclude each other.
            if !then.puts.contains_key(key) {
                touched.put(key.clone())?;
            }
        }
        let own: Vec<_> = then.deletes.into_iter().chain(or_else.deletes).collect();
        let clash = touched.puts.keys().find(|key| {
            !then.puts.contains_key(*key)
                && !or_else.puts.contains_key(*key)
                && own.iter().any(|(space, range)| *space == key.0 && range.contains(&key.1))
        });
        if let Some(key) = clash {
            return Err(Error::DuplicateKey { key: key.1.clone() });
        }
        touched.deletes.extend(own);
    }
    for op in ops {
        if let TxnOp::Put(put) = op {
            touched.put((put.space, put.key.clone()))?;
        }
    }
    Ok(touched)
}

/// Evaluates every comparison on the state before the transaction.
fn choose(view: &View<'_>, txn: &Txn, planner: &Planner<'_>) -> Result<Path> {
    let mut taken = true;
    for compare in &txn.compare {
        if !holds(view, compare, planner)? {
            taken = false;
            break;
        }
    }
    let mut path = Path { taken, nested: Vec::new() };
    for op in branch(txn, &path) {
        if let TxnOp::Txn(inner) = op {
            let nested = choose(view, inner, planner)?;
            path.nested.push(nested);
        }
    }
    Ok(path)
}

fn holds(view: &View<'_>, compare: &Compare, planner: &Planner<'_>) -> Result<bool> {
    let mut all = true;
    let mut failed = None;
    let mut found = false;
    view.walk(compare.space, &compare.range, |key, seen| {
        found = true;
        match one_holds(compare, Some((key, seen)), planner) {
            Ok(holds) => all = holds,
            Err(error) => failed = Some(error),
        }
        all && failed.is_none()
    })?;
    match failed {
        Some(error) => Err(error),
        None if !found => one_holds(compare, None, planner),
        None => Ok(all),
    }
}

fn one_holds(
    compare: &Compare,
    seen: Option<(&[u8], Seen<'_>)>,
    planner: &Planner<'_>,
) -> Result<bool> {
    let (version, create, modified, lease) = seen.map_or_else(Default::default, |(_, seen)| {
        (seen.version(), seen.create(), seen.modified(), seen.lease())
    });
    let order = match &compare.target {
        CompareTarget::Version(wanted) => version.cmp(wanted),
        CompareTarget::Create(wanted) => create.cmp(wanted),
        CompareTarget::Mod(wanted) => modified.cmp(wanted),
        CompareTarget::Lease(wanted) => lease.cmp(wanted),
        CompareTarget::Value(wanted) => {
            let Some((key, seen)) = seen else { return Ok(false) };
            let found = planner.values.resolve(compare.space, seen.to_candidate(key), true)?;
            found.into_value()?.cmp(wanted)
        }
    };
    Ok(match compare.op {
        CompareOp::Equal => order == Ordering::Equal,
        CompareOp::NotEqual => order != Ordering::Equal,
        CompareOp::Greater => order == Ordering::Greater,
        CompareOp::Less => order == Ordering::Less,
    })
}
