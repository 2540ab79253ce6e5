//! What requests about keys touch, as resources. Neither truth nor derived: arithmetic on
//! requests. Where two readings are possible the wider one is asked for.

use bytes::Bytes;
use cairn_auth::{Action, KeyRange, Resource};
use cairn_mvcc::{Put, Range, Txn, TxnOp};
use cairn_types::{KeyspaceName, StreamId, limits};

use crate::{Error, Result};

/// Things that one request asks for.
pub(super) type Asked = Vec<(Action, Resource)>;

/// One key.
pub(super) fn key(keyspace: &KeyspaceName, key: &[u8]) -> Result<Resource> {
    let (found, limit) = (key.len() as u64, limits::MAX_KEY_LEN as u64);
    if found > limit {
        return Err(Error::TooLarge { what: "key", found, limit });
    }
    Ok(Resource::Keys(keyspace.clone(), KeyRange::key(key)))
}

/// A range of keys of a keyspace as something to ask for. One that can hold nothing asks for
/// its first key alone.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::Auth`] when there can be no such keys.
pub fn range(keyspace: &KeyspaceName, range: &Range) -> Result<Resource> {
    let keys = match range.end.as_deref() {
        None => return key(keyspace, &range.key),
        Some(b"\0") => KeyRange::new(range.key.clone(), None),
        Some(end) if end <= &*range.key => return key(keyspace, &range.key),
        Some(end) => KeyRange::new(range.key.clone(), Some(Bytes::copy_from_slice(end))),
    };
    Ok(Resource::Keys(keyspace.clone(), keys?))
}

/// What a put asks for: showing the old version is reading it, and so is keeping a part of it,
/// which is refused when there is none.
pub(super) fn put(keyspace: &KeyspaceName, put: &Put, asked: &mut Asked) -> Result<()> {
    let resource = key(keyspace, &put.key)?;
    if put.prev_kv || put.ignore_value || put.ignore_lease {
        asked.push((Action::Read, resource.clone()));
    }
    asked.push((Action::Write, resource));
    Ok(())
}

/// What a transaction asks for: whatever either branch may do. Each operation must be in the
/// keyspace whose name was checked.
pub(super) fn txn(
    keyspace: &KeyspaceName,
    stream: StreamId,
    txn: &Txn,
    asked: &mut Asked,
) -> Result<()> {
    let here = |space: StreamId| match space == stream {
        true => Ok(()),
        false => Err(Error::Denied { what: "a transaction over another keyspace".into() }),
    };
    for compare in &txn.compare {
        here(compare.space)?;
        asked.push((Action::Read, range(keyspace, &compare.range)?));
    }
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            TxnOp::Range(request) => {
                here(request.space)?;
                asked.push((Action::Read, range(keyspace, &request.range)?));
            }
            TxnOp::Put(request) => {
                here(request.space)?;
                put(keyspace, request, asked)?;
            }
            TxnOp::Delete(request) => {
                here(request.space)?;
                let resource = range(keyspace, &request.range)?;
                if request.prev_kv {
                    asked.push((Action::Read, resource.clone()));
                }
                asked.push((Action::Write, resource));
            }
            TxnOp::Txn(nested) => self::txn(keyspace, stream, nested, asked)?,
        }
    }
    Ok(())
}
