//! Lower-case hexadecimal, one text for one value. Neither truth nor derived.

use zeroize::Zeroizing;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends two digits for each byte.
pub fn encode(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            out.push(char::from(DIGITS[usize::from(half)]));
        }
    }
}

/// The value of a digit; capitals are refused, so that a text has one spelling.
const fn digit(byte: u8) -> Option<u8> {
    let value = value_of(byte);
    if value > 15 { None } else { Some(value as u8) }
}

/// The value of a digit, 16 and more for anything else. Without a branch or a table: the time
/// it takes says nothing of a secret's digits.
const fn value_of(byte: u8) -> u16 {
    let (decimal, letter) = (byte.wrapping_sub(b'0'), byte.wrapping_sub(b'a'));
    let is_decimal = ((decimal as u16).wrapping_sub(10) >> 15) & 1;
    let is_letter = ((letter as u16).wrapping_sub(6) >> 15) & 1;
    let neither = (1 - is_decimal) & (1 - is_letter);
    is_decimal * decimal as u16 + is_letter * (letter as u16).wrapping_add(10) + neither * 256
}

/// The bytes of a text of any length.
pub fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    let pairs = text.as_bytes().chunks(2);
    for pair in pairs {
        let [high, low] = pair else { return None };
        out.push(digit(*high)? << 4 | digit(*low)?);
    }
    Some(out)
}

/// The bytes of a text that must have exactly this length.
pub fn decode_array<const N: usize>(text: &[u8]) -> Option<Zeroizing<[u8; N]>> {
    if text.len() != 2 * N {
        return None;
    }
    let mut out = Zeroizing::new([0; N]);
    let mut bad = 0;
    for (byte, pair) in out.iter_mut().zip(text.as_chunks::<2>().0) {
        let (high, low) = (value_of(pair[0]), value_of(pair[1]));
        bad |= high | low;
        *byte = ((high << 4 | low) & 255) as u8;
    }
    (bad < 16).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_the_digit_it_looks_like_or_none() {
        for byte in 0..=255_u8 {
            let expected = char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
            assert_eq!(digit(byte).map(u32::from), expected, "{byte}");
            let pair = decode_array::<1>(&[byte, b'7']).map(|bytes| u32::from(bytes[0]));
            assert_eq!(pair, expected.map(|high| high * 16 + 7), "{byte}");
        }
    }
}
