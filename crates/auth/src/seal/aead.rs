//! AES-256-GCM on buffers, the only place that names the cipher. Neither truth nor derived.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};

pub const NONCE_LEN: usize = 12;
pub const TAG_LEN: usize = 16;

/// Encrypts `buffer` in place and gives the tag.
pub fn encrypt(
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    associated: &[u8],
    buffer: &mut [u8],
) -> [u8; TAG_LEN] {
    Aes256Gcm::new(key.into())
        .encrypt_inout_detached(nonce.into(), associated, buffer.into())
        .expect("lengths are capped far below the 64 GiB of the cipher")
        .into()
}

/// Decrypts `buffer` in place when the tag is right; else it stays ciphertext.
pub fn decrypt(
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    associated: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Option<()> {
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(nonce.into(), associated, buffer.into(), tag.into())
        .ok()
}
