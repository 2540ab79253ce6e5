//! The 64-bit hash of a key: frozen, because filters and hot-index checkpoints on disk depend
//! on it. Neither truth nor derived.
//!
//! `fold(a, b)`: with the 128-bit product `p = a * b`, `low(p) ^ high(p) ^ a ^ b`. (The plain
//! `low ^ high` forgets `b` when `a` is zero, which a chosen key can bring about.)
//! Constants `P0..P4` are the first 5 * 64 bits of the fraction of pi. Words are little-endian.
//!
//! ```text
//! state = seed ^ P0
//! while more than 16 bytes are left: state = fold(word 0 ^ state, word 1 ^ P1); drop 16 bytes
//! a, b of the rest, where a key of 16 bytes or more takes its last 16 bytes (they may overlap):
//!   8..=16 bytes  a = first 8, b = last 8
//!   4..=7         a = first 4, b = last 4
//!   1..=3         a = first | middle << 8 | last << 16, where middle is byte len/2;  b = 0
//!   0             a = b = 0
//! state = fold(a ^ state, b ^ P2)
//! hash  = fold(state ^ P3, len ^ P4)
//! ```
//!
//! | seed | key | hash |
//! |---|---|---|
//! | 0 | (empty) | `33e1f1e9d8b8498e` |
//! | 0 | `a` | `393519557c3e8642` |
//! | 0 | `abc` | `20405f5b7aff9771` |
//! | 0 | `cairn` | `3eaf8d5f94e41f89` |
//! | 0 | `/registry` | `9440c436c9de491a` |
//! | 0 | `0123456789abcdef` | `d90b67a46800bd7c` |
//! | 0 | `0123456789abcdefg` | `4bee5de78c3c01bb` |
//! | 0 | bytes 0 to 99 | `75e9b5ea83838372` |
//! | 1 | `cairn` | `9025e95abf86357c` |
//!
//! It resists accidents, not enemies: who knows the seed can make keys that collide. In a
//! filter this costs reads of tables; a hot index over keys of strangers takes a random seed.

const P: [u64; 5] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c89,
    0x4528_21e6_38d0_1377,
];

/// The frozen hash of a key, with seed 0: what filters on disk use. About 3 ns for 16 bytes.
///
/// ```
/// assert_eq!(cairn_index::key_hash(b"cairn"), cairn_index::key_hash_seeded(0, b"cairn"));
/// ```
#[must_use]
#[inline]
pub fn key_hash(key: &[u8]) -> u64 {
    key_hash_seeded(0, key)
}

/// The frozen hash of a key under a seed of the caller's.
#[must_use]
#[inline]
pub fn key_hash_seeded(seed: u64, key: &[u8]) -> u64 {
    let mut state = seed ^ P[0];
    let mut rest = key;
    while rest.len() > 16
        && let Some((block, after)) = rest.split_first_chunk::<16>()
    {
        let (a, b) = pair(block);
        state = fold(a ^ state, b ^ P[1]);
        rest = after;
    }
    let (a, b) = if let Some(last) = key.last_chunk::<16>() { pair(last) } else { short(key) };
    state = fold(a ^ state, b ^ P[2]);
    fold(state ^ P[3], key.len() as u64 ^ P[4])
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the halves of the product are wanted")]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64) ^ a ^ b
}

#[inline]
fn pair(block: &[u8; 16]) -> (u64, u64) {
    let words = u128::from_le_bytes(*block);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are wanted")]
    (words as u64, (words >> 64) as u64)
}

/// The two words of a key below 16 bytes.
#[inline]
fn short(key: &[u8]) -> (u64, u64) {
    if let (Some(a), Some(b)) = (key.first_chunk(), key.last_chunk()) {
        return (u64::from_le_bytes(*a), u64::from_le_bytes(*b));
    }
    if let (Some(a), Some(b)) = (key.first_chunk(), key.last_chunk()) {
        return (u64::from(u32::from_le_bytes(*a)), u64::from(u32::from_le_bytes(*b)));
    }
    if let (Some(first), Some(middle), Some(last)) =
        (key.first(), key.get(key.len() / 2), key.last())
    {
        return (u64::from(*first) | u64::from(*middle) << 8 | u64::from(*last) << 16, 0);
    }
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frozen: a change here makes every filter on disk answer wrongly.
    #[test]
    fn the_hash_never_changes() {
        let long: Vec<u8> = (0..=99).collect();
        let found: Vec<String> = [
            (0, &b""[..]),
            (0, b"a"),
            (0, b"abc"),
            (0, b"cairn"),
            (0, b"/registry"),
            (0, b"0123456789abcdef"),
            (0, b"0123456789abcdefg"),
            (0, &long),
            (1, b"cairn"),
        ]
        .iter()
        .map(|(seed, key)| format!("{:016x}", key_hash_seeded(*seed, key)))
        .collect();
        let frozen = [
            "33e1f1e9d8b8498e",
            "393519557c3e8642",
            "20405f5b7aff9771",
            "3eaf8d5f94e41f89",
            "9440c436c9de491a",
            "d90b67a46800bd7c",
            "4bee5de78c3c01bb",
            "75e9b5ea83838372",
            "9025e95abf86357c",
        ];
        assert_eq!(found, frozen);
    }

    #[test]
    fn every_bit_of_a_key_moves_half_the_bits_of_the_hash() {
        for len in [1, 3, 4, 7, 8, 12, 16, 17, 40] {
            let mut flips = [0_u32; 64];
            let mut trials = 0_u32;
            for round in 0..200_u64 {
                let mut key: Vec<u8> = (0..len as u64)
                    .map(|i| (key_hash(&[round as u8, i as u8]) >> 9) as u8)
                    .collect();
                let before = key_hash(&key);
                for bit in 0..len * 8 {
                    key[bit / 8] ^= 1 << (bit % 8);
                    let changed = before ^ key_hash(&key);
                    key[bit / 8] ^= 1 << (bit % 8);
                    trials += 1;
                    for (place, count) in flips.iter_mut().enumerate() {
                        *count += (changed >> place & 1) as u32;
                    }
                }
            }
            for (place, count) in flips.iter().enumerate() {
                let share = f64::from(*count) / f64::from(trials);
                assert!((0.42..0.58).contains(&share), "len {len}, bit {place}: {share}");
            }
        }
    }

    #[test]
    fn counters_texts_and_zeroes_do_not_collide() {
        let mut hashes = Vec::new();
        for n in 1..=300_000_u64 {
            hashes.push(key_hash(&n.to_be_bytes()));
            hashes.push(key_hash(format!("/registry/pods/{n}").as_bytes()));
        }
        hashes.extend((0..4096).map(|len| key_hash(&vec![0; len])));
        // Half the bits must still be as good as random: 604,096 values in 2^32 places.
        let mut low: Vec<u32> = hashes.iter().map(|hash| *hash as u32).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 604_096, "no collision of 64 bits");
        low.sort_unstable();
        low.dedup();
        let lost = 604_096 - low.len();
        assert!((15..90).contains(&lost), "about 42 are expected in 32 bits, {lost} found");
    }
}
