//! Some revisions and where in the log their batches begin, so that a watch need not search the
//! log. Derived.

use cairn_codec::varint;
use cairn_types::Lsn;

/// Revisions between two anchors at first.
const INTERVAL: u64 = 256;

/// With more anchors than this, every other one goes.
const COUNT_MAX: usize = 16_384;

/// Places of some revisions, rising.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Anchors {
    interval: u64,
    places: Vec<(u64, Lsn)>,
}

impl Default for Anchors {
    fn default() -> Self {
        Self { interval: INTERVAL, places: Vec::new() }
    }
}

impl Anchors {
    /// Notes where a revision begins, if it is far enough from the last one noted.
    pub(crate) fn note(&mut self, revision: u64, lsn: Lsn) {
        let is_due =
            self.places.last().is_none_or(|last| last.0.saturating_add(self.interval) <= revision);
        if !is_due {
            return;
        }
        self.places.push((revision, lsn));
        if self.places.len() > COUNT_MAX {
            let mut index = 0;
            self.places.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.interval = self.interval.saturating_mul(2);
        }
    }

    /// A place at or before the first change of a revision at or after this one.
    pub(crate) fn before(&self, revision: u64) -> Option<Lsn> {
        let after = self.places.partition_point(|(at, _)| *at <= revision);
        self.places.get(after.saturating_sub(1)).map(|place| place.1)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        varint::put(out, self.interval);
        varint::put(out, self.places.len() as u64);
        let (mut revision, mut lsn) = (0, 0);
        for (at, place) in &self.places {
            varint::put(out, at - revision);
            varint::put(out, place.get() - lsn);
            (revision, lsn) = (*at, place.get());
        }
    }

    pub(crate) fn decode(at: &mut &[u8]) -> Option<Self> {
        let interval = varint::take(at)?;
        let count = usize::try_from(varint::take(at)?).ok()?;
        if interval == 0 || count > COUNT_MAX {
            return None;
        }
        let mut places = Vec::new();
        let (mut revision, mut lsn) = (0_u64, 0_u64);
        for _ in 0..count {
            revision = revision.checked_add(varint::take(at)?)?;
            lsn = lsn.checked_add(varint::take(at)?)?;
            places.push((revision, Lsn::new(lsn)));
        }
        Some(Self { interval, places })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_never_behind_its_revision_and_their_number_is_bounded() {
        let mut anchors = Anchors::default();
        for revision in 1..6_000_000 {
            anchors.note(revision, Lsn::new(revision * 3));
        }
        assert!(anchors.places.len() <= COUNT_MAX);
        for revision in [1, 2, 300, 70_000, 5_999_999] {
            let place = anchors.before(revision).expect("there is one").get();
            assert!(place <= revision * 3, "{revision}");
            assert!(revision == 1 || place + 3 * 2 * anchors.interval > revision * 3, "{revision}");
        }
        let mut bytes = Vec::new();
        anchors.encode(&mut bytes);
        assert_eq!(Anchors::decode(&mut &bytes[..]), Some(anchors));
    }
}
