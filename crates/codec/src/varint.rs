//! LEB128 variable-length integers in canonical form: seven bits a byte, lowest first, no
//! trailing zero groups, at most ten bytes.

/// Most bytes of a number.
const LEN_MAX: usize = 10;

/// Appends a number.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front of `bytes`; `None` when it is cut short, too long or not in
/// canonical form.
#[must_use]
#[inline]
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        *bytes = rest;
        return Some(u64::from(first));
    }
    take_long(bytes)
}

/// Passes over a number without looking whether it is canonical; `None` when it is cut short or
/// too long.
#[must_use]
pub(crate) fn skip(bytes: &mut &[u8]) -> Option<()> {
    let last = bytes.iter().take(LEN_MAX).position(|byte| *byte < 0x80)?;
    *bytes = bytes.get(last + 1..)?;
    Some(())
}

fn take_long(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(LEN_MAX) {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * u32::try_from(index).ok()?;
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            if byte == 0 && index > 0 {
                return None;
            }
            *bytes = bytes.get(index + 1..)?;
            return Some(value);
        }
    }
    None
}

/// Maps signed to unsigned so that small magnitudes stay small.
#[must_use]
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag`].
#[must_use]
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_survive_a_round_trip(value: u64, signed: i64) {
            let mut out = Vec::new();
            put(&mut out, value);
            let mut rest = out.as_slice();
            prop_assert_eq!(take(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
            let mut rest = out.as_slice();
            prop_assert_eq!(skip(&mut rest), Some(()));
            prop_assert!(rest.is_empty());
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }

        #[test]
        fn what_is_accepted_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut rest = bytes.as_slice();
            if let Some(value) = take(&mut rest) {
                let mut out = Vec::new();
                put(&mut out, value);
                prop_assert_eq!(out.as_slice(), &bytes[..bytes.len() - rest.len()]);
            }
        }
    }
}
