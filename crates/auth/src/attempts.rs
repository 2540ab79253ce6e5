//! Limits on failed logins, by account and by address.
//!
//! **Derived** from what was tried since the start: it is in memory only, of a fixed size, and
//! a restart forgives. Each account and each address has credit that failures use up and time
//! gives back. Names that do not exist have credit too, so being refused says nothing.
//!
//! The table is divided into sets of eight places chosen by a keyed hash. A full set gives up
//! the place with the most credit, so a flood of names cannot push out a name under attack
//! without knowing the key. Time is the monotonic clock's: a jump of the date forgives nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cairn_vfs::Rng;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::mac::mac;

const SET_LEN: usize = 8;
const SETS_MAX: usize = 1 << 17;

/// How many failures are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptLimit {
    /// Failures in a row before anything is refused; 0 counts as 1.
    pub burst: u32,
    /// How long it takes until one more is allowed.
    pub refill: Duration,
    /// How many accounts or addresses are remembered; rounded up to sets of eight, at most
    /// 1,048,576. Their memory, 32 bytes each, is taken at once.
    pub remembered: usize,
}

impl AttemptLimit {
    /// Ten failures, then one every 30 seconds, for 65,536 accounts.
    pub const ACCOUNT: Self =
        Self { burst: 10, refill: Duration::from_secs(30), remembered: 1 << 16 };
    /// A hundred failures, then one every 5 seconds, for 65,536 addresses.
    pub const ADDRESS: Self =
        Self { burst: 100, refill: Duration::from_secs(5), remembered: 1 << 16 };
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// 0 marks an empty place.
    tag: u64,
    /// When all credit will be back, in nanoseconds of the monotonic clock.
    full_at: u128,
}

/// Counts failures by a tag; see the module.
pub struct AttemptTable {
    limit: AttemptLimit,
    places: Mutex<Vec<Place>>,
    key: Zeroizing<[u8; 32]>,
}

impl AttemptTable {
    /// An empty table.
    pub fn new(limit: AttemptLimit, rng: &dyn Rng) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill(key.as_mut_slice());
        let sets = limit.remembered.div_ceil(SET_LEN).clamp(1, SETS_MAX);
        let places = Mutex::new(vec![Place::default(); sets * SET_LEN]);
        Self { limit, places, key }
    }

    /// Takes one attempt off the credit of a tag.
    ///
    /// # Errors
    /// [`Error::Throttled`] when there is none left; nothing is taken then.
    pub fn charge(&self, tag: &[u8], now: Duration) -> Result<()> {
        let (now, step) = (now.as_nanos(), self.step());
        let most = step * u128::from(self.limit.burst.max(1));
        let tag = self.tag_of(tag);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = claim(set_of(&mut places, tag), tag);
        let full_at = place.full_at.max(now) + step;
        if full_at - now > most {
            let nanos = u64::try_from(full_at - now - most).unwrap_or(u64::MAX);
            return Err(Error::Throttled { retry_after: Duration::from_nanos(nanos) });
        }
        *place = Place { tag, full_at };
        Ok(())
    }

    /// Gives an attempt back: it was a success, or was not made.
    pub fn refund(&self, tag: &[u8]) {
        let tag = self.tag_of(tag);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = set_of(&mut places, tag).iter_mut().find(|place| place.tag == tag) {
            place.full_at = place.full_at.saturating_sub(self.step());
        }
    }

    fn step(&self) -> u128 {
        self.limit.refill.as_nanos().max(1)
    }

    fn tag_of(&self, tag: &[u8]) -> u64 {
        let hash = mac(&self.key, &[tag]);
        let first = hash.first_chunk().expect("a hash has 32 bytes");
        u64::from_le_bytes(*first).max(1)
    }
}

fn set_of(places: &mut [Place], tag: u64) -> &mut [Place] {
    let sets = (places.len() / SET_LEN) as u64;
    // The high bits choose the set; the whole hash tells tags apart in it.
    let set = usize::try_from((u128::from(tag) * u128::from(sets)) >> 64).expect("below the sets");
    places.get_mut(set * SET_LEN..(set + 1) * SET_LEN).expect("the table has whole sets")
}

/// The place of a tag, or the one that is given up for it.
fn claim(set: &mut [Place], tag: u64) -> &mut Place {
    let found = set.iter().position(|place| place.tag == tag);
    let chosen = found.unwrap_or_else(|| {
        let (freest, place) = set
            .iter_mut()
            .enumerate()
            .min_by_key(|(_, place)| place.full_at)
            .expect("a set has places");
        *place = Place { tag, full_at: 0 };
        freest
    });
    set.get_mut(chosen).expect("it was just found")
}
