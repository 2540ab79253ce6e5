//! Random histories of keys and what is true of them, as plainly as it can be written.

use cairn_merkle::map::{
    Absence, Claim, HistorySource, KeyMap, PathHash, Proven, Question, Verdict, VersionLeaf,
};
use cairn_types::{Lsn, Revision};
use std::collections::BTreeMap;

/// A small generator whose seed a failing test prints.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }

    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for at in (1..things.len()).rev() {
            things.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

/// All versions of all keys, as a log would hold them.
#[derive(Default, Clone)]
pub struct Model {
    pub histories: BTreeMap<PathHash, Vec<VersionLeaf>>,
    pub log: Vec<(PathHash, VersionLeaf)>,
    pub revision: u64,
    pub lsn: u64,
}

pub fn path(key: u64) -> PathHash {
    PathHash::of_key(7, format!("key-{key}").as_bytes())
}

impl Model {
    /// `revisions` transactions of up to four changes over keys `0..keys`.
    pub fn random(seed: u64, keys: u64, revisions: u64) -> Self {
        let mut random = Random(seed | 1);
        let mut model = Self::default();
        for revision in 2..2 + revisions {
            let mut sub = 0;
            for _ in 0..=random.below(4) {
                // A record that is no change of a key comes between.
                model.lsn += random.below(2);
                let key = random.below(keys);
                let at = Revision { main: revision, sub };
                if model.change(path(key), at, random.below(4) == 0) {
                    sub += 1;
                }
            }
            model.revision = revision;
        }
        model
    }

    fn change(&mut self, path: PathHash, at: Revision, delete: bool) -> bool {
        let lsn = Lsn::new(self.lsn);
        let history = self.histories.entry(path).or_default();
        let value = self.lsn.to_string();
        let version = match history.last() {
            Some(last) if last.modified.main == at.main => return false,
            Some(last) if delete && !last.tombstone => VersionLeaf::tombstone(at, lsn),
            Some(last) => last.next_put(at, lsn, value.as_bytes()),
            None => VersionLeaf::put(at, lsn, value.as_bytes()),
        };
        history.push(version);
        self.log.push((path, version));
        self.lsn += 1;
        true
    }

    pub fn map(&self) -> KeyMap {
        let mut map = KeyMap::new();
        map.update(&self.log, self.revision, Lsn::new(self.lsn)).expect("in order");
        map
    }

    /// What a proof must show.
    pub fn truth(&self, claim: &Claim) -> Verdict {
        let Some(history) = self.histories.get(&claim.path) else {
            return Verdict::Absent(Absence::Never);
        };
        let revision = match claim.question {
            Question::At(revision) => revision,
            Question::Newest => u64::MAX,
            Question::History => return Verdict::History(history.clone()),
        };
        let Some(index) = history.iter().rposition(|one| one.modified.main <= revision) else {
            return Verdict::Absent(Absence::NotYet(history[0]));
        };
        let (version, count) = (history[index], history.len() as u64);
        let proven = Proven { version, index: index as u64, count };
        if version.tombstone {
            Verdict::Absent(Absence::Deleted(proven))
        } else {
            Verdict::Value(proven)
        }
    }

    /// Every claim about one key.
    pub fn claims(&self, path: PathHash) -> Vec<Claim> {
        let at = (0..=self.revision).map(|revision| Claim::at(path, revision));
        at.chain([Claim::newest(path), Claim::history(path)]).collect()
    }
}

impl HistorySource for Model {
    fn version(
        &self,
        path: &PathHash,
        index: u64,
    ) -> Result<VersionLeaf, Box<dyn std::error::Error + Send + Sync>> {
        let history = self.histories.get(path).ok_or("no such key")?;
        Ok(*history.get(index as usize).ok_or("no such version")?)
    }
}
