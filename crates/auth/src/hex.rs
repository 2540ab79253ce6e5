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
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
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
    for (byte, pair) in out.iter_mut().zip(text.chunks(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}
