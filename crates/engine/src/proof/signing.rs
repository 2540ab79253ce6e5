//! The key that signs. **Truth**: `keys/checkpoint.key`, the text of a private key as
//! `sumdb/note` writes it, in a file for the owner alone.
//!
//! A rotation writes `keys/checkpoint.next`, records the new key in the log (signed by both
//! keys), and puts the file in the place of the old one. What a crash leaves is finished when the
//! record is there, and forgotten when it is not.

use cairn_merkle::log::TreeHead;
use cairn_merkle::note::{KeyName, SignatureKind, Signer, Verifier};
use cairn_segment::{Log, RecordKind};
use cairn_vfs::{Vfs, path};
use zeroize::Zeroizing;

use super::files::{self, Keep};
use super::tree::LogTree;
use super::{Error, Result, records, signed};

const KEY: &str = "keys/checkpoint.key";
const NEXT: &str = "keys/checkpoint.next";
/// A name of at most 1,024 bytes, an id and base64 of 33 bytes.
const KEY_LEN_MAX: usize = 2048;

/// The name a log signs under unless it is given one.
pub(super) fn default_origin(log: &Log) -> String {
    let id = log.store_id();
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("cairn/{hex}")
}

fn read(vfs: &dyn Vfs, path: &'static str) -> Result<Option<Signer>> {
    let damaged = |cause| Error::Damaged { file: path, cause };
    let Some(bytes) = files::read(vfs, path, KEY_LEN_MAX)? else { return Ok(None) };
    let bytes = Zeroizing::new(bytes);
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged("it is not text"))?;
    let signer = Signer::parse(text.strip_suffix('\n').unwrap_or(text));
    Ok(Some(signer.map_err(|_| damaged("it is no private key"))?))
}

fn write(vfs: &dyn Vfs, path: &str, key: &Signer) -> Result<()> {
    let text = key.to_secret_text();
    // A text that grew would leave its old bytes in freed memory.
    let line = Zeroizing::new([text.as_bytes(), b"\n"].concat());
    files::replace(vfs, path, &line, Keep::Durably)
}

/// The key that is there, if one is; finishes a rotation that a crash cut off.
pub(super) fn find(log: &Log, tree: &LogTree) -> Result<Option<Signer>> {
    let vfs = &*log.sealed_vfs();
    if let Some(next) = read(vfs, NEXT)? {
        let is_recorded = tree.found().keys.last() == Some(&next.verifier().to_string());
        if is_recorded && !log.is_read_only() {
            vfs.rename(NEXT, KEY)?;
            vfs.sync_dir(path::split(KEY).0)?;
        }
        if is_recorded {
            return Ok(Some(next));
        }
    }
    read(vfs, KEY)
}

/// The key that signs; made when there is none. The tree must have caught up.
pub(super) fn signer(log: &Log, tree: &mut LogTree, origin: Option<&str>) -> Result<Signer> {
    if let Some(key) = find(log, tree)? {
        return Ok(key);
    }
    let name = match (tree.found().verifiers().last(), origin) {
        // The key is lost, the name stays: readers see another key under it.
        (Some(before), _) => before.name().clone(),
        (None, Some(origin)) => KeyName::new(origin)?,
        (None, None) => KeyName::new(default_origin(log))?,
    };
    let key = Signer::generate(name, SignatureKind::Ed25519, &**log.rng());
    install(log, &key)?;
    Ok(key)
}

/// Writes a key for the first time.
fn install(log: &Log, key: &Signer) -> Result<()> {
    let vfs = &*log.sealed_vfs();
    // The memory of what was signed comes first: a key without it signs nothing.
    if signed::read(vfs, &log.store_id())?.is_none() {
        signed::write(vfs, &log.store_id(), &TreeHead::empty())?;
    }
    write(vfs, KEY, key)
}

/// Writes the key into the log unless it is the newest one there.
pub(super) fn record(log: &Log, tree: &mut LogTree, key: &Signer) -> Result<()> {
    let text = key.verifier().to_string();
    if tree.found().keys.last() == Some(&text) {
        return Ok(());
    }
    let payload = records::encode_key(key, None)?;
    append(log, tree, &payload)
}

fn append(log: &Log, tree: &mut LogTree, payload: &[u8]) -> Result<()> {
    let number = tree.found().keys.len() as u64;
    records::append(log, RecordKind::SIGNING_KEY, number, payload)?;
    tree.catch_up()?;
    Ok(())
}

/// Puts another key in the place of the one that signs, under the same name.
pub(super) fn rotate(log: &Log, tree: &mut LogTree, next: &Signer) -> Result<()> {
    let vfs = &*log.sealed_vfs();
    let before = find(log, tree)?;
    if let Some(before) = before.as_ref().filter(|before| before.name() != next.name()) {
        return Err(Error::OriginFixed { origin: before.name().to_string() });
    }
    let Some(before) = before else {
        if let Some(known) = tree.found().verifiers().last()
            && known.name() != next.name()
        {
            return Err(Error::OriginFixed { origin: known.name().to_string() });
        }
        install(log, next)?;
        return record(log, tree, next);
    };
    write(vfs, NEXT, next)?;
    let payload = records::encode_key(next, Some(&before))?;
    append(log, tree, &payload)?;
    vfs.rename(NEXT, KEY)?;
    Ok(vfs.sync_dir(path::split(KEY).0)?)
}

/// Writes the newest key again at the log's end, so that its old record may go.
pub(super) fn carry_forward(log: &Log, tree: &mut LogTree) -> Result<()> {
    match find(log, tree)? {
        Some(key) => append(log, tree, &records::encode_key(&key, None)?),
        None => Ok(()),
    }
}

/// All keys that ever signed this log, as far as they are known.
pub(super) fn known(log: &Log, tree: &LogTree) -> Result<Vec<Verifier>> {
    let mut keys = tree.found().verifiers();
    if let Some(key) = find(log, tree)?.map(|key| key.verifier())
        && !keys.contains(&key)
    {
        keys.push(key);
    }
    Ok(keys)
}
