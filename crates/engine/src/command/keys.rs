//! Requests about keys on the wire; the table is in the module above.

use cairn_mvcc::{
    Compare, CompareOp, CompareTarget, DeleteRange, LeaseId, Order, Put, Range, RangeRequest,
    SortBy, Txn, TxnOp,
};
use cairn_types::StreamId;

use super::wire::{Reader, Writer};

/// Transactions within transactions: an operation takes part of the 128 that one may hold, so
/// deeper ones would be refused anyway.
const DEPTH_MAX: u32 = 128;

impl Writer {
    fn space(&mut self, space: StreamId) -> &mut Self {
        self.number(space.get().into())
    }

    fn range(&mut self, range: &Range) -> &mut Self {
        self.part(&range.key).option(range.end.as_ref(), |out, end| {
            out.part(end);
        })
    }

    pub(super) fn put(&mut self, put: &Put) -> &mut Self {
        let flags = flag(put.prev_kv, 1) | flag(put.ignore_value, 2) | flag(put.ignore_lease, 4);
        self.space(put.space).part(&put.key).part(&put.value).signed(put.lease.get()).u8(flags)
    }

    pub(super) fn delete(&mut self, delete: &DeleteRange) -> &mut Self {
        self.space(delete.space).range(&delete.range).bool(delete.prev_kv)
    }

    fn read(&mut self, request: &RangeRequest) -> &mut Self {
        let order = match request.order {
            Order::None => 0,
            Order::Ascend => 1,
            Order::Descend => 2,
        };
        let by = match request.sort_by {
            SortBy::Key => 0,
            SortBy::Version => 1,
            SortBy::Create => 2,
            SortBy::Mod => 3,
            SortBy::Value => 4,
        };
        let flags = flag(request.keys_only, 1)
            | flag(request.count_only, 2)
            | flag(request.without_count, 4);
        self.space(request.space)
            .range(&request.range)
            .number(request.revision)
            .number(request.limit as u64)
            .u8(order)
            .u8(by)
            .u8(flags)
            .number(request.min_mod_revision)
            .number(request.max_mod_revision)
            .number(request.min_create_revision)
            .number(request.max_create_revision)
    }

    fn compare(&mut self, compare: &Compare) -> &mut Self {
        let op = match compare.op {
            CompareOp::Equal => 0,
            CompareOp::Greater => 1,
            CompareOp::Less => 2,
            CompareOp::NotEqual => 3,
        };
        self.space(compare.space).range(&compare.range).u8(op);
        match &compare.target {
            CompareTarget::Version(wanted) => self.u8(0).number(*wanted),
            CompareTarget::Create(wanted) => self.u8(1).number(*wanted),
            CompareTarget::Mod(wanted) => self.u8(2).number(*wanted),
            CompareTarget::Value(wanted) => self.u8(3).part(wanted),
            CompareTarget::Lease(wanted) => self.u8(4).signed(wanted.get()),
        }
    }

    pub(super) fn txn(&mut self, txn: &Txn) -> &mut Self {
        self.list(&txn.compare, |out, compare| {
            out.compare(compare);
        })
        .list(&txn.success, |out, op| {
            out.op(op);
        })
        .list(&txn.failure, |out, op| {
            out.op(op);
        })
    }

    fn op(&mut self, op: &TxnOp) -> &mut Self {
        match op {
            TxnOp::Range(request) => self.u8(1).read(request),
            TxnOp::Put(put) => self.u8(2).put(put),
            TxnOp::Delete(delete) => self.u8(3).delete(delete),
            TxnOp::Txn(txn) => self.u8(4).txn(txn),
        }
    }
}

const fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

impl Reader<'_> {
    fn space(&mut self) -> Option<StreamId> {
        self.u32().map(StreamId::new)
    }

    pub(super) fn lease(&mut self) -> Option<LeaseId> {
        self.signed().map(LeaseId::new)
    }

    fn range(&mut self) -> Option<Range> {
        Some(Range { key: self.bytes()?, end: self.option(Self::bytes)? })
    }

    /// Three flags in a byte, the others zero.
    fn flags(&mut self) -> Option<[bool; 3]> {
        let flags = self.u8()?;
        (flags < 8).then_some([flags & 1 != 0, flags & 2 != 0, flags & 4 != 0])
    }

    pub(super) fn put(&mut self) -> Option<Put> {
        let (space, key, value) = (self.space()?, self.bytes()?, self.bytes()?);
        let lease = self.lease()?;
        let [prev_kv, ignore_value, ignore_lease] = self.flags()?;
        Some(Put { space, key, value, lease, prev_kv, ignore_value, ignore_lease })
    }

    pub(super) fn delete(&mut self) -> Option<DeleteRange> {
        Some(DeleteRange { space: self.space()?, range: self.range()?, prev_kv: self.bool()? })
    }

    fn read(&mut self) -> Option<RangeRequest> {
        let (space, range) = (self.space()?, self.range()?);
        let (revision, limit) = (self.number()?, usize::try_from(self.number()?).ok()?);
        let order = match self.u8()? {
            0 => Order::None,
            1 => Order::Ascend,
            2 => Order::Descend,
            _ => return None,
        };
        let sort_by = match self.u8()? {
            0 => SortBy::Key,
            1 => SortBy::Version,
            2 => SortBy::Create,
            3 => SortBy::Mod,
            4 => SortBy::Value,
            _ => return None,
        };
        let [keys_only, count_only, without_count] = self.flags()?;
        Some(RangeRequest {
            revision,
            limit,
            order,
            sort_by,
            keys_only,
            count_only,
            without_count,
            min_mod_revision: self.number()?,
            max_mod_revision: self.number()?,
            min_create_revision: self.number()?,
            max_create_revision: self.number()?,
            ..RangeRequest::new(space, range)
        })
    }

    fn compare(&mut self) -> Option<Compare> {
        let (space, range) = (self.space()?, self.range()?);
        let op = match self.u8()? {
            0 => CompareOp::Equal,
            1 => CompareOp::Greater,
            2 => CompareOp::Less,
            3 => CompareOp::NotEqual,
            _ => return None,
        };
        let target = match self.u8()? {
            0 => CompareTarget::Version(self.number()?),
            1 => CompareTarget::Create(self.number()?),
            2 => CompareTarget::Mod(self.number()?),
            3 => CompareTarget::Value(self.bytes()?),
            4 => CompareTarget::Lease(self.lease()?),
            _ => return None,
        };
        Some(Compare { space, range, op, target })
    }

    pub(super) fn txn(&mut self, depth: u32) -> Option<Txn> {
        if depth > DEPTH_MAX {
            return None;
        }
        Some(Txn {
            compare: self.list(Self::compare)?,
            success: self.list(|reader| reader.op(depth))?,
            failure: self.list(|reader| reader.op(depth))?,
        })
    }

    fn op(&mut self, depth: u32) -> Option<TxnOp> {
        Some(match self.u8()? {
            1 => TxnOp::Range(self.read()?),
            2 => TxnOp::Put(self.put()?),
            3 => TxnOp::Delete(self.delete()?),
            4 => TxnOp::Txn(self.txn(depth + 1)?),
            _ => return None,
        })
    }
}
