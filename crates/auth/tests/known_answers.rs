//! Known answers of the primitives, as their standards print them: what is linked in is what it
//! is called.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 9106, section 5.3.
#[test]
fn argon2id_is_that_of_rfc_9106() {
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .output_len(32)
        .data(AssociatedData::new(&[4; 12]).expect("short"))
        .build()
        .expect("valid");
    let argon = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params);
    let mut tag = [0; 32];
    argon.expect("valid").hash_password_into(&[1; 32], &[2; 16], &mut tag).expect("hashes");
    assert_eq!(hex(&tag), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
}

/// RFC 5869, appendix A.1.
#[test]
fn hkdf_is_that_of_rfc_5869() {
    let salt: Vec<u8> = (0..=0x0c).collect();
    let info: Vec<u8> = (0xf0..=0xf9).collect();
    let mut out = [0; 42];
    Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22]).expand(&info, &mut out).expect("short");
    assert_eq!(
        hex(&out),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    );
}

/// RFC 4231, test case 2.
#[test]
fn hmac_is_that_of_rfc_4231() {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").expect("any length");
    mac.update(b"what do ya want for nothing?");
    assert_eq!(
        hex(&mac.finalize().into_bytes()),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

/// The specification of GCM that NIST SP 800-38D names (McGrew and Viega), test cases 13 and 14.
#[test]
fn aes_256_gcm_is_that_of_its_specification() {
    let cipher = Aes256Gcm::new(&[0; 32].into());
    let cases = [
        (&[][..], "", "530f8afbc74536b9a963b4f1c4cb738b"),
        (&[0; 16][..], "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"),
    ];
    for (plain, sealed, tag) in cases {
        let mut buffer = plain.to_vec();
        let found = cipher
            .encrypt_inout_detached(&[0; 12].into(), b"", buffer.as_mut_slice().into())
            .expect("short");
        assert_eq!((hex(&buffer), hex(&found)), (sealed.to_owned(), tag.to_owned()));
    }
}
