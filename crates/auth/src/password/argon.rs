//! Argon2id with stated costs (RFC 9106). Neither truth nor derived: a function.

use argon2::{Algorithm, Argon2, Params, Version};
use cairn_vfs::Rng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::phc::Phc;
use super::{MAX_PASSWORD_LEN, SecretHasher, Verdict, check_new_password, imported};
use crate::error::{Error, Result};
use crate::secret::Secret;

const SALT_LEN: usize = 16;
const OUTPUT_LEN: usize = 32;

/// What a hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashParams {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes; here they run one after the other.
    pub lanes: u32,
}

impl HashParams {
    /// 64 MiB, 3 passes, 4 lanes: the second recommendation of RFC 9106.
    pub const DEFAULT: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 4 };
    /// Nothing below is hashed or believed: 19 MiB, 2 passes, 1 lane.
    pub const FLOOR: Self = Self { memory_kib: 19 << 10, passes: 2, lanes: 1 };
    /// Nothing above is hashed or believed: 1 GiB, 16 passes, 16 lanes.
    pub const CAP: Self = Self { memory_kib: 1 << 20, passes: 16, lanes: 16 };

    /// Whether every number lies between those of two others.
    fn within(self, low: Self, high: Self) -> bool {
        (low.memory_kib..=high.memory_kib).contains(&self.memory_kib)
            && (low.passes..=high.passes).contains(&self.passes)
            && (low.lanes..=high.lanes).contains(&self.lanes)
    }
}

impl Default for HashParams {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Argon2id, and bcrypt for hashes that were made elsewhere (checked, never made).
///
/// ```
/// use cairn_auth::{Argon2idHasher, HashParams, Secret, SecretHasher, Verdict};
/// use cairn_vfs::OsRng;
/// let hasher = Argon2idHasher::new(HashParams::FLOOR)?;
/// let stored = hasher.hash(&Secret::from("correct horse"), &OsRng)?;
/// assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
/// assert_eq!(hasher.verify(&Secret::from("correct horse"), &stored)?, Verdict::Right);
/// assert_eq!(hasher.verify(&Secret::from("battery staple"), &stored)?, Verdict::Wrong);
/// # Ok::<(), cairn_auth::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Argon2idHasher {
    params: HashParams,
    // Always `HashParams::FLOOR`, but for the unit tests of this module.
    floor: HashParams,
}

impl Default for Argon2idHasher {
    fn default() -> Self {
        Self { params: HashParams::DEFAULT, floor: HashParams::FLOOR }
    }
}

impl Argon2idHasher {
    /// A hasher with these costs. Stored hashes with others are checked and called outdated.
    ///
    /// # Errors
    /// [`Error::Invalid`] below [`HashParams::FLOOR`] or above [`HashParams::CAP`].
    pub fn new(params: HashParams) -> Result<Self> {
        let hasher = Self { params, floor: HashParams::FLOOR };
        hasher.check(params)?;
        Ok(hasher)
    }

    fn check(&self, params: HashParams) -> Result<()> {
        // RFC 9106: each lane has at least eight blocks of 1 KiB.
        let enough = params.memory_kib / 8 >= params.lanes;
        if enough && params.within(self.floor, HashParams::CAP) {
            return Ok(());
        }
        Err(Error::invalid("hashing parameters", "they are below the floor or above the cap"))
    }

    fn parse(&self, stored: &str) -> Result<Phc> {
        let phc = Phc::parse(stored)?;
        self.check(phc.params)?;
        Ok(phc)
    }
}

impl SecretHasher for Argon2idHasher {
    fn hash(&self, password: &Secret, rng: &dyn Rng) -> Result<String> {
        check_new_password(password)?;
        let (mut salt, mut output) = ([0; SALT_LEN], Zeroizing::new([0; OUTPUT_LEN]));
        rng.fill(&mut salt);
        compute(self.params, password, &salt, output.as_mut_slice())?;
        Ok(Phc::format(self.params, &salt, output.as_slice()))
    }

    fn verify(&self, password: &Secret, stored: &str) -> Result<Verdict> {
        if imported::is_bcrypt(stored) {
            return imported::verify(password, stored);
        }
        let phc = self.parse(stored)?;
        if password.len() > MAX_PASSWORD_LEN {
            return Ok(Verdict::Wrong);
        }
        let mut output = Zeroizing::new(vec![0; phc.output.len()]);
        compute(phc.params, password, &phc.salt, &mut output)?;
        if !bool::from(output.ct_eq(&phc.output)) {
            return Ok(Verdict::Wrong);
        }
        let short = phc.salt.len() < SALT_LEN || phc.output.len() < OUTPUT_LEN;
        Ok(if short || phc.params != self.params { Verdict::Outdated } else { Verdict::Right })
    }

    fn accepts(&self, stored: &str) -> Result<()> {
        if imported::is_bcrypt(stored) {
            return imported::check(stored);
        }
        self.parse(stored).map(drop)
    }
}

fn compute(params: HashParams, password: &Secret, salt: &[u8], output: &mut [u8]) -> Result<()> {
    let HashParams { memory_kib, passes, lanes } = params;
    let impossible = |_| Error::invalid("hashing parameters", "they do not fit together");
    let params = Params::new(memory_kib, passes, lanes, Some(output.len())).map_err(impossible)?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(password.expose(), salt, output).map_err(|error| match error {
        argon2::Error::OutOfMemory => Error::Busy,
        _ => Error::invalid("password hash", "it cannot be computed"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_vfs::SeededRng;

    /// So cheap that thousands of hashes take a moment; only this module can build it.
    const TOY: HashParams = HashParams { memory_kib: 8, passes: 1, lanes: 1 };

    fn toy() -> Argon2idHasher {
        Argon2idHasher { params: TOY, floor: TOY }
    }

    #[test]
    fn every_bit_flip_of_a_phc_string_is_refused_without_panic() {
        let (hasher, password) = (toy(), Secret::from("correct horse"));
        let stored = hasher.hash(&password, &SeededRng::new(1)).expect("hashes");
        assert_eq!(hasher.verify(&password, &stored).expect("well-formed"), Verdict::Right);
        for bit in 0..stored.len() * 8 {
            let mut bytes = stored.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // A store of text cannot hold anything else than text.
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let refused =
                hasher.verify(&password, &text).is_ok_and(|verdict| verdict == Verdict::Wrong);
            assert!(refused || hasher.accepts(&text).is_err(), "bit {bit}: {text}");
        }
    }

    #[test]
    fn other_parameters_are_checked_and_called_outdated() {
        let old = Argon2idHasher { params: HashParams { passes: 2, ..TOY }, floor: TOY };
        let password = Secret::from("correct horse");
        let stored = old.hash(&password, &SeededRng::new(1)).expect("hashes");
        assert_eq!(toy().verify(&password, &stored).expect("within caps"), Verdict::Outdated);
    }
}
