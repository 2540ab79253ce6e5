//! `txn`: compare, then, else, from JSON.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail};
use cairndb::keys::{DeleteRange, LeaseId, TxnResponse, TxnResult};
use cairndb::prelude::*;
use serde_json::{Value, json};

use super::{line, open};
use crate::cli::Cli;
use crate::cli::keys::Txn as Arguments;
use crate::output::keys as show;

/// Largest transaction that is read.
const LEN_MAX: u64 = 256 << 20;

/// Runs a transaction and prints its answer as JSON.
pub fn txn(cli: &Cli, args: &Arguments, out: &mut impl Write) -> Result<()> {
    let text = match &args.file {
        Some(file) if file.as_os_str() != "-" => {
            std::fs::read_to_string(file).with_context(|| file.display().to_string())?
        }
        _ => {
            let mut text = String::new();
            std::io::stdin().lock().take(LEN_MAX).read_to_string(&mut text)?;
            text
        }
    };
    let value: Value = serde_json::from_str(&text).context("the transaction is not JSON")?;
    let engine = open(cli)?;
    engine.maintain()?;
    let space = super::keys::writable(&engine, &args.space)?;
    let txn = parse(&space, &value)?;
    let answer = if args.fenced {
        super::lock::fence(&engine)?.with_fence(|planner| planner.txn(&txn))?
    } else {
        engine.txn(&txn)?
    };
    line(out, answer_value(&answer))?;
    out.flush()?;
    Ok(engine.close()?)
}

fn parse(space: &Keyspace, value: &Value) -> Result<Txn> {
    let Some(fields) = value.as_object() else {
        bail!("a transaction is an object with compare, success and failure");
    };
    let known = |name: &&String| ["compare", "success", "failure"].contains(&name.as_str());
    if let Some(other) = fields.keys().find(|name| !known(name)) {
        // Taken for nothing, a slip of the pen would do nothing and say that it succeeded.
        bail!("field {other} is none of compare, success, failure");
    }
    let list = |name: &str| match value.get(name) {
        None => Ok(&[][..]),
        Some(Value::Array(list)) => Ok(list.as_slice()),
        Some(_) => bail!("{name} is no list"),
    };
    let ops = |name: &str| -> Result<Vec<TxnOp>> {
        list(name)?.iter().map(|op| parse_op(space, op)).collect()
    };
    Ok(Txn {
        compare: list("compare")?.iter().map(|c| parse_compare(space, c)).collect::<Result<_>>()?,
        success: ops("success")?,
        failure: ops("failure")?,
    })
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str> {
    value.get(name).and_then(Value::as_str).with_context(|| format!("{name} is missing in {value}"))
}

fn range(value: &Value) -> Result<Range> {
    let key = text(value, "key")?.to_owned();
    let is = |name| value.get(name).and_then(Value::as_bool).unwrap_or(false);
    Ok(match value.get("end").and_then(Value::as_str) {
        Some(end) => Range::between(key, end.to_owned()),
        None if is("prefix") => Range::prefix(key),
        None if is("from_key") => Range::from_key(key),
        None => Range::key(key),
    })
}

fn parse_compare(space: &Keyspace, value: &Value) -> Result<Compare> {
    let op = match text(value, "op")? {
        "=" | "==" => CompareOp::Equal,
        "!=" => CompareOp::NotEqual,
        "<" => CompareOp::Less,
        ">" => CompareOp::Greater,
        other => bail!("op {other} is none of =, !=, <, >"),
    };
    let number = || {
        let number = value.get("value").and_then(Value::as_u64);
        number.with_context(|| format!("value is no whole number in {value}"))
    };
    let target = match text(value, "target")? {
        "version" => CompareTarget::Version(number()?),
        "create" => CompareTarget::Create(number()?),
        "mod" => CompareTarget::Mod(number()?),
        "lease" => {
            let id = value.get("value").and_then(Value::as_i64);
            CompareTarget::Lease(LeaseId::new(id.context("value is no lease")?))
        }
        "value" => CompareTarget::Value(text(value, "value")?.to_owned().into()),
        other => bail!("target {other} is none of version, create, mod, value, lease"),
    };
    Ok(Compare { space: space.stream(), range: range(value)?, op, target })
}

fn parse_op(space: &Keyspace, value: &Value) -> Result<TxnOp> {
    let Some((name, body)) = value.as_object().and_then(|object| object.iter().next()) else {
        bail!("an operation is an object with one field: put, delete, get or txn");
    };
    let stream = space.stream();
    Ok(match name.as_str() {
        "put" => {
            let lease = body.get("lease").and_then(Value::as_i64).unwrap_or(0);
            let (key, value) = (text(body, "key")?.to_owned(), text(body, "value")?.to_owned());
            TxnOp::Put(Put::new(stream, key, value).lease(LeaseId::new(lease)))
        }
        "delete" => TxnOp::Delete(DeleteRange::new(stream, range(body)?)),
        "get" | "range" => {
            let number = |name| body.get(name).and_then(Value::as_u64).unwrap_or(0);
            let limit = usize::try_from(number("limit")).unwrap_or(usize::MAX);
            let request = RangeRequest::new(stream, range(body)?).at(number("rev")).limit(limit);
            TxnOp::Range(request)
        }
        "txn" => TxnOp::Txn(parse(space, body)?),
        other => bail!("operation {other} is none of put, delete, get, txn"),
    })
}

fn answer_value(answer: &TxnResponse) -> Value {
    let results: Vec<Value> = answer
        .results
        .iter()
        .map(|result| match result {
            TxnResult::Put(put) => {
                json!({ "put": { "prev_kv": put.prev_kv.as_ref().map(show::value_of) } })
            }
            TxnResult::Delete(delete) => json!({ "delete": { "deleted": delete.deleted } }),
            TxnResult::Range(range) => {
                let kvs: Vec<_> = range.kvs.iter().map(show::value_of).collect();
                json!({ "get": { "count": range.count, "more": range.more, "kvs": kvs } })
            }
            TxnResult::Txn(inner) => json!({ "txn": answer_value(inner) }),
        })
        .collect();
    let (succeeded, revision) = (answer.succeeded, answer.revision);
    json!({ "succeeded": succeeded, "revision": revision, "results": results })
}
