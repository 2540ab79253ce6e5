//! Envelopes, wrapped keys, where master keys come from, and changing them.

use crate::world::{KEY, PASSWORD, key, world};
use cairn_auth::{
    AuthConfig, AuthService, CommandKey, EnvelopeEncryptor, Error, FileKey, GivenKey, KeyProvider,
    KvStore, MasterKey, NoAudit, Parts, RecordKind, Secret, StoreId,
};
use cairn_vfs::{ManualClock, MemVfs, OpenMode, SeededRng, Vfs};
use proptest::prelude::*;
use std::sync::Arc;

const KIND: RecordKind = RecordKind(1000);

fn master() -> MasterKey {
    MasterKey::from_bytes(&KEY).expect("strong enough")
}

fn other_master() -> MasterKey {
    let mut bytes = KEY;
    bytes[0] ^= 1;
    MasterKey::from_bytes(&bytes).expect("strong enough")
}

fn store_id(n: u8) -> StoreId {
    StoreId::from_bytes([n; 16])
}

fn refused<T>(result: Result<T, Error>) -> bool {
    matches!(
        result,
        Err(Error::Decrypt { .. } | Error::Corrupt { .. } | Error::UnsupportedVersion { .. })
    )
}

#[test]
fn every_bit_flip_and_every_cut_of_an_envelope_is_refused_without_panic() {
    let rng = SeededRng::new(1);
    let (mut sealer, _) = EnvelopeEncryptor::create(store_id(1), &master(), &rng);
    sealer.add_data_key(&master(), &rng).expect("room");
    for plaintext in [b"".as_slice(), b"x", &[7; 100]] {
        let envelope = sealer.seal(KIND, b"id", plaintext, &rng).expect("short");
        assert_eq!(sealer.unseal(KIND, b"id", &envelope).expect("whole").expose(), plaintext);
        for bit in 0..envelope.len() * 8 {
            let mut flipped = envelope.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(refused(sealer.unseal(KIND, b"id", &flipped)), "bit {bit}");
        }
        for len in 0..envelope.len() {
            assert!(refused(sealer.unseal(KIND, b"id", &envelope[..len])), "cut to {len}");
        }
        assert!(refused(sealer.unseal(KIND, b"id", &[&envelope[..], &[0]].concat())));
    }
}

#[test]
fn an_envelope_that_was_moved_does_not_open() {
    let rng = SeededRng::new(1);
    let (sealer, wrapped) = EnvelopeEncryptor::create(store_id(1), &master(), &rng);
    let envelope = sealer.seal(KIND, b"user 1", b"text", &rng).expect("short");
    for (kind, identity) in [
        (KIND, b"user 2".as_slice()),
        (KIND, b"user 1\0"),
        (KIND, b""),
        (RecordKind(1001), b"user 1"),
    ] {
        assert!(refused(sealer.unseal(kind, identity, &envelope)));
    }
    // The same random bytes make the same data key for two stores.
    let same_key = |store| EnvelopeEncryptor::create(store, &master(), &SeededRng::new(5)).0;
    let sealed = same_key(store_id(1)).seal(KIND, b"id", b"text", &rng).expect("short");
    assert!(same_key(store_id(1)).unseal(KIND, b"id", &sealed).is_ok());
    assert!(refused(same_key(store_id(2)).unseal(KIND, b"id", &sealed)));
    assert!(refused(EnvelopeEncryptor::open(store_id(2), &master(), [&wrapped])));
    let (foreign, _) = EnvelopeEncryptor::create(store_id(1), &master(), &rng);
    assert!(refused(foreign.unseal(KIND, b"user 1", &envelope)));
}

#[test]
fn equal_plaintexts_have_nothing_in_common_when_sealed() {
    let rng = SeededRng::new(1);
    let (sealer, _) = EnvelopeEncryptor::create(store_id(1), &master(), &rng);
    let seal = || sealer.seal(KIND, b"id", &[7; 64], &rng).expect("short");
    let (one, two) = (seal(), seal());
    let same = one[16..].iter().zip(&two[16..]).filter(|(a, b)| a == b).count();
    assert!(same < 10, "{same} bytes are the same");
}

#[test]
fn every_bit_flip_of_a_wrapped_key_is_refused_without_panic() {
    let rng = SeededRng::new(1);
    let (_, wrapped) = EnvelopeEncryptor::create(store_id(1), &master(), &rng);
    for bit in 0..wrapped.len() * 8 {
        let mut flipped = wrapped.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(EnvelopeEncryptor::open(store_id(1), &master(), [&flipped])), "bit {bit}");
    }
    for len in 0..wrapped.len() {
        assert!(refused(EnvelopeEncryptor::open(store_id(1), &master(), [&wrapped[..len]])));
    }
    assert!(refused(EnvelopeEncryptor::open(store_id(1), &other_master(), [&wrapped])));
    assert!(refused(EnvelopeEncryptor::open(store_id(1), &master(), [&wrapped, &wrapped])));
    assert!(refused(EnvelopeEncryptor::open(store_id(1), &master(), Vec::<Vec<u8>>::new())));
}

#[test]
fn rewrapping_changes_the_master_key_and_no_envelope() {
    let rng = SeededRng::new(1);
    let (mut sealer, _) = EnvelopeEncryptor::create(store_id(1), &master(), &rng);
    let first = sealer.seal(KIND, b"id", b"one", &rng).expect("short");
    sealer.add_data_key(&master(), &rng).expect("room");
    let second = sealer.seal(KIND, b"id", b"two", &rng).expect("short");
    let wrapped: Vec<_> =
        sealer.rewrap(&other_master(), &rng).into_iter().map(|(_, bytes)| bytes).collect();
    assert!(refused(EnvelopeEncryptor::open(store_id(1), &master(), &wrapped)));
    let opened = EnvelopeEncryptor::open(store_id(1), &other_master(), wrapped.iter().rev());
    let opened = opened.expect("the order does not matter");
    assert_eq!(opened.active_key(), sealer.active_key());
    assert_eq!(opened.unseal(KIND, b"id", &first).expect("whole").expose(), b"one");
    assert_eq!(opened.unseal(KIND, b"id", &second).expect("whole").expose(), b"two");
}

#[test]
fn weak_master_keys_are_refused_from_every_source() {
    let vfs = Arc::new(MemVfs::new());
    let contents: [&[u8]; 9] = [
        b"",
        &[0; 32],
        &[7; 32],
        &KEY[..31],
        &[KEY.as_slice(), b"x"].concat(),
        // 32 digits are only 128 bits.
        b"00112233445566778899aabbccddeeff",
        b"0000000000000000000000000000000000000000000000000000000000000000",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        &[b'x'; 5000],
    ];
    for (n, content) in contents.into_iter().enumerate() {
        let path = format!("key{n}");
        let file = vfs.open(&path, OpenMode::Create).expect("creates");
        file.write_all_at(0, content).expect("writes");
        let fetched = Secret::from(content);
        let command = CommandKey::new(move || Ok(fetched.clone()));
        let file = FileKey::new(vfs.clone(), path);
        for found in [command.master_key(), file.master_key()] {
            assert!(matches!(found, Err(Error::WeakKey { .. })), "content {n}: {found:?}");
        }
        let text = String::from_utf8_lossy(content);
        assert!(matches!(GivenKey::from_text(&text), Err(Error::WeakKey { .. })), "content {n}");
    }
    for bytes in [[0_u8; 32].as_slice(), &[1; 32], &KEY[..16], b""] {
        assert!(matches!(GivenKey::from_bytes(bytes), Err(Error::WeakKey { .. })));
    }
}

#[test]
fn a_master_key_is_the_same_from_every_source_and_in_every_spelling() {
    let binary: [u8; 32] = std::array::from_fn(|n| (n * 37) as u8 ^ 0x80);
    let hex: String = binary.iter().map(|byte| format!("{byte:02x}")).collect();
    let base64 = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(binary)
    };
    let expected = MasterKey::from_bytes(&binary).expect("strong").id();
    let vfs = Arc::new(MemVfs::new());
    let spellings = [
        binary.to_vec(),
        hex.clone().into(),
        hex.to_uppercase().into(),
        format!("{hex}\n").into(),
        base64.trim_end_matches('=').into(),
        base64.into(),
    ];
    for (n, content) in spellings.into_iter().enumerate() {
        let path = format!("key{n}");
        let file = vfs.open(&path, OpenMode::Create).expect("creates");
        file.write_all_at(0, &content).expect("writes");
        let file = FileKey::new(vfs.clone(), path);
        assert_eq!(file.master_key().expect("strong").id(), expected, "spelling {n}");
        let command = CommandKey::new(move || Ok(content.clone().into()));
        assert_eq!(command.master_key().expect("strong").id(), expected);
    }
    let missing = FileKey::new(vfs, "nowhere").master_key();
    assert!(matches!(missing, Err(Error::KeyUnavailable { .. })));
    let broken = CommandKey::new(|| Err("exit code 1".into())).master_key();
    assert!(matches!(broken, Err(Error::KeyUnavailable { cause }) if cause == "exit code 1"));
}

#[test]
fn another_master_key_takes_over_without_a_record_being_rewritten() {
    let world = world();
    world.user("ada");
    let token = world.token("ada");
    let rows = |prefix: &str| world.store.scan(prefix.as_bytes(), None, 100).expect("reads");
    let all = || ["m/", "u/", "n/", "s/", "t/"].map(rows);
    let before = all();
    let new = GivenKey::from(other_master());
    world.auth.rotate_master_key(&new).expect("rotates");
    assert_eq!(all(), before);
    assert!(world.is_alive(&token), "the service goes on");
    let open = |key: &GivenKey| {
        let parts = Parts {
            clock: world.clock.clone() as Arc<ManualClock>,
            rng: Arc::new(SeededRng::new(99)),
            hasher: world.hasher.clone(),
            audit: Arc::new(NoAudit),
        };
        AuthService::open(world.store.clone(), key, parts, AuthConfig::default())
    };
    assert!(matches!(open(&key()), Err(Error::Decrypt { .. })), "the old key opens nothing");
    let reopened = open(&new).expect("the new key opens");
    assert!(reopened.validate_session(&token).is_ok());
    assert!(reopened.login("ada", &PASSWORD.into(), None).is_ok());
}

#[test]
fn another_data_key_seals_what_is_new_and_old_records_stay_readable() {
    let world = world();
    let ada = world.user("ada");
    let token = world.token("ada");
    let wrong = world.auth.rotate_data_key(&GivenKey::from(other_master()));
    assert!(matches!(wrong, Err(Error::Decrypt { .. })));
    world.auth.rotate_data_key(&key()).expect("rotates");
    assert!(world.is_alive(&token));
    world.auth.set_metadata(ada, &"sealed anew".into()).expect("exists");
    let stored = world.store.scan(b"u/", None, 9).expect("reads");
    assert_eq!(stored[0].value[4..8], [2, 0, 0, 0], "the number of the new data key");
    let hasher = crate::world::CheapHasher::default();
    let again = crate::world::world_with(AuthConfig::default(), hasher, world.store.clone());
    assert!(again.is_alive(&token));
    assert_eq!(again.auth.user_info(ada).expect("exists").metadata.expose(), b"sealed anew");
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoders_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (sealer, _) = EnvelopeEncryptor::create(store_id(1), &master(), &SeededRng::new(1));
        prop_assert!(refused(sealer.unseal(KIND, b"id", &bytes)));
        prop_assert!(refused(EnvelopeEncryptor::open(store_id(1), &master(), [&bytes])));
        let _ = MasterKey::from_content(&bytes);
    }
}
