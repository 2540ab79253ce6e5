//! Rotation of keys. Truth: the key ring is changed durably before anything is sealed with a new
//! data key, and a data key leaves it only when no file names it.
//!
//! Changing the outer key wraps the data keys anew and adds one that seals from now on; no file
//! is rewritten. Segments sealed with older data keys are sealed anew by writing replacements,
//! as the cleaner does, so a crash leaves the one or the other, and the ring opens both.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use cairn_codec::seal::{KeyNumber, KeyRing, OuterKey, OuterKeyId, RingKey};
use cairn_vfs::{OpenMode, Vfs};

use crate::clean::{CleanOptions, Plan};
use crate::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use crate::format::{LOG_DIR, QUARANTINE_DIR};
use crate::keyring::{RING_PATHS, read_ring, write_ring};
use crate::sealed_files::{header_of, reseal};
use crate::{Cleaned, Error, Log, Result};

/// How often files are looked at again when one went while they were.
const LOOKS: u32 = 20;

/// What names a data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyUse {
    /// Segments.
    pub segment_count: usize,
    /// Bytes of those segments.
    pub segment_len: u64,
    /// Other files: of views, and copies in quarantine.
    pub file_count: usize,
}

/// Which keys a store has and which it still needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// Data keys, oldest first, and what each is needed for. The last one seals.
    pub keys: Vec<(RingKey, KeyUse)>,
    /// Segments and files that are not sealed, written before there was a key.
    pub plain: KeyUse,
}

/// A file that is not sealed as a whole: a layer above seals what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFile {
    /// Its path in the store.
    pub path: &'static str,
    /// The data keys that its parts are sealed with; [`KeyNumber::NONE`] for plain ones.
    pub keys: Vec<KeyNumber>,
}

impl OwnedFile {
    /// Whether this is the file, or what it is written to before it is renamed.
    fn is_at(&self, path: &str) -> bool {
        path.strip_suffix(".tmp").unwrap_or(path) == self.path
    }
}

/// What happens to a file that does not open when it is to be sealed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDamage {
    /// It is removed: its owner makes it again.
    Remove,
    /// It stays, and is an error.
    Refuse,
}

impl KeyStatus {
    /// The outer keys that opening the store needs.
    #[must_use]
    pub fn outer_keys(&self) -> Vec<OuterKeyId> {
        let mut ids: Vec<_> = self.keys.iter().map(|(key, _)| key.wrapped_by).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The data key that seals.
    #[must_use]
    pub fn active(&self) -> KeyNumber {
        self.keys.last().map(|(key, _)| key.number).unwrap_or_default()
    }

    /// Whether nothing but the data key that seals is in use, and nothing is plain.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let unused = KeyUse::default();
        let older = self.keys.split_last().map_or(&[][..], |(_, older)| older);
        self.plain == unused && older.iter().all(|(_, used)| *used == unused)
    }
}

impl Log {
    /// Wraps the store's data keys under another key of 32 bytes (or the same one, when `None`),
    /// adds a data key, and begins a segment that is sealed with it. The old outer key opens
    /// nothing in this store once this returns; copies made before still need it.
    ///
    /// A crash leaves the ring before the rotation or after it: open with both keys given then.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the log has no key or the new one is none; what cannot be written.
    pub fn rotate_keys(&self, outer: Option<&[u8]>) -> Result<()> {
        self.writer()?.lock().check_open()?;
        let alone = self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let store = &self.shared.store;
        let ring = self.ring()?;
        let given = store.registry.outer_keys();
        let outer = match outer {
            Some(secret) => OuterKey::new(secret).map_err(|_| {
                let reason = "it is not 32 bytes, or all of them are zero".into();
                Error::Invalid { what: "sealing key", reason }
            })?,
            None => {
                let newest = ring.keys().last().map(|key| key.wrapped_by);
                let found = given.iter().find(|outer| Some(outer.id()) == newest).cloned();
                found.ok_or_else(no_key)?
            }
        };
        let mut random = |bytes: &mut [u8]| store.rng.fill(bytes);
        let next = ring.rotate(&given, &outer, store.clock.now(), &mut random)?;
        // On the disk before anything is sealed with it.
        write_ring(&*store.vfs, &next)?;
        store.registry.change_ring(&next, Some(&outer))?;
        self.writer()?.roll_now()?;
        self.checkpoint()?;
        drop(alone);
        Ok(())
    }

    /// Seals every complete segment anew that is not sealed with the newest data key. The last
    /// segment takes part once another one follows, which [`rotate_keys`](Self::rotate_keys)
    /// sees to. At most `segments_max` of them; `progress` is called with segments done and in all.
    ///
    /// # Errors
    /// As [`clean`](Self::clean); segments replaced before stay replaced.
    pub fn reseal(
        &self,
        segments_max: usize,
        progress: Option<&dyn Fn(usize, usize)>,
    ) -> Result<Cleaned> {
        self.writer()?.lock().check_open()?;
        let _alone = self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let active = self.shared.store.registry.active_key();
        if active == KeyNumber::NONE {
            return Ok(Cleaned::default());
        }
        let segments = self.shared.segments.load();
        let older: Vec<_> = segments
            .iter()
            .take(segments.len().saturating_sub(1))
            .filter(|segment| segment.header.key != active)
            .take(segments_max)
            .cloned()
            .collect();
        let mut cleaned = Cleaned::default();
        for (done, segment) in older.iter().enumerate() {
            if let Some(progress) = progress {
                progress(done, older.len());
            }
            cleaned.segment_count += 1;
            let replacement = self.replace(segment, &Plan::KEEP_ALL, &CleanOptions::default())?;
            cleaned.replaced_count += 1;
            cleaned.len_before += segment.end();
            cleaned.len_after += replacement.end();
        }
        if let Some(progress) = progress {
            progress(older.len(), older.len());
        }
        Ok(cleaned)
    }

    /// Seals the files of views below a directory anew, those that are not sealed with the
    /// newest data key nor `owned`, and removes temporary ones; returns how many were sealed, or
    /// removed for their damage. The caller sees to it that nobody writes there.
    ///
    /// # Errors
    /// What cannot be read or written; a file is replaced whole or not at all.
    pub fn reseal_files(&self, dir: &str, damaged: OnDamage, owned: &[OwnedFile]) -> Result<usize> {
        self.writer()?.lock().check_open()?;
        let store = &self.shared.store;
        let active = store.registry.active_key();
        let mut count = 0;
        if active == KeyNumber::NONE {
            return Ok(count);
        }
        let sealed = self.sealed_vfs();
        let (leftovers, files): (Vec<String>, Vec<String>) = files_below(&*store.vfs, dir)?
            .into_iter()
            .filter(|path| !owned.iter().any(|file| file.is_at(path)))
            .partition(|path| path.ends_with(".tmp"));
        // A crash left them; nobody is at them now.
        leftovers.iter().try_for_each(|path| store.vfs.remove(path))?;
        for path in files {
            if header_of(&*store.vfs, &path)? != active {
                match reseal(&*store.vfs, &*sealed, &path) {
                    Err(error) if error.is_damaged() && damaged == OnDamage::Remove => {
                        store.vfs.remove(&path)?;
                    }
                    outcome => outcome?,
                }
                count += 1;
            }
        }
        Ok(count)
    }

    /// Takes the data keys out of the ring that nothing needs, `owned` files neither; returns how
    /// many. What is left of files sealed with them, on the medium or in a copy whose ring is
    /// lost, cannot be opened any more.
    ///
    /// # Errors
    /// What cannot be read or written.
    pub fn drop_unneeded_keys(&self, owned: &[OwnedFile]) -> Result<usize> {
        self.writer()?.lock().check_open()?;
        let _alone = self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = self.ring()?;
        let uses = self.key_uses(owned)?;
        let kept = ring.retain(|number| uses.contains_key(&number));
        let dropped = ring.keys().count() - kept.keys().count();
        if dropped > 0 {
            write_ring(&*self.shared.store.vfs, &kept)?;
        }
        Ok(dropped)
    }

    /// Which keys there are, and what still needs them.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the store has no key ring; what cannot be read.
    pub fn key_status(&self, owned: &[OwnedFile]) -> Result<KeyStatus> {
        let ring = self.ring()?;
        let mut uses = self.key_uses(owned)?;
        let plain = uses.remove(&KeyNumber::NONE).unwrap_or_default();
        let used = |key: RingKey| (key, uses.get(&key.number).copied().unwrap_or_default());
        Ok(KeyStatus { keys: ring.keys().map(used).collect(), plain })
    }

    /// The ring as it is on the disk.
    fn ring(&self) -> Result<KeyRing> {
        read_ring(&*self.shared.store.vfs)?.ring.ok_or_else(no_key)
    }

    fn key_uses(&self, owned: &[OwnedFile]) -> Result<BTreeMap<KeyNumber, KeyUse>> {
        let mut tries = LOOKS;
        loop {
            match self.look_for_keys(owned) {
                // A merge took it away, or it was renamed: under its new name it counts.
                Err(Error::Vfs(error)) if error.is_not_found() && tries > 0 => tries -= 1,
                outcome => return outcome,
            }
        }
    }

    fn look_for_keys(&self, owned: &[OwnedFile]) -> Result<BTreeMap<KeyNumber, KeyUse>> {
        let mut uses: BTreeMap<KeyNumber, KeyUse> = BTreeMap::new();
        for key in owned.iter().flat_map(|file| &file.keys) {
            uses.entry(*key).or_default().file_count += 1;
        }
        for segment in self.shared.segments.load().iter() {
            let used = uses.entry(segment.header.key).or_default();
            used.segment_count += 1;
            used.segment_len += segment.end();
        }
        let vfs = &*self.shared.store.vfs;
        for path in files_below(vfs, "")? {
            let first = path.split('/').next().unwrap_or_default();
            let is_of_log = first == LOG_DIR || RING_PATHS.contains(&&*path) || !path.contains('/');
            if is_of_log || owned.iter().any(|file| file.is_at(&path)) {
                continue;
            }
            let key = if first == QUARANTINE_DIR {
                segment_key(vfs, &path)?
            } else {
                header_of(vfs, &path)?
            };
            if first != QUARANTINE_DIR || key != KeyNumber::NONE {
                uses.entry(key).or_default().file_count += 1;
            }
        }
        Ok(uses)
    }
}

fn no_key() -> Error {
    Error::Invalid { what: "rotation", reason: "the store is not encrypted".into() }
}

/// The data key of a copy of a segment; none for anything else.
fn segment_key(vfs: &dyn Vfs, path: &str) -> Result<KeyNumber> {
    let file = vfs.open(path, OpenMode::Read)?;
    let mut bytes = [0; SEGMENT_HEADER_LEN];
    let whole = file.read_at(0, &mut bytes)? == bytes.len();
    let header = SegmentHeader::decode(&bytes).ok().filter(|_| whole);
    Ok(header.map(|header| header.key).unwrap_or_default())
}

/// Paths of all files below a directory.
fn files_below(vfs: &dyn Vfs, dir: &str) -> Result<Vec<String>> {
    let (mut pending, mut files) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = pending.pop() {
        let entries = match vfs.list(&dir) {
            Err(error) if error.is_not_found() => continue,
            outcome => outcome?,
        };
        for entry in entries {
            let path = if dir.is_empty() { entry.name } else { format!("{dir}/{}", entry.name) };
            let list = if entry.is_dir { &mut pending } else { &mut files };
            list.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}
