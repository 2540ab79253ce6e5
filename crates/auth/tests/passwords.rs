//! The real hashers, at the floor of their costs.

use cairn_auth::{Argon2idHasher, Error, HashGate, HashParams, Secret, SecretHasher, Verdict};
use cairn_vfs::SeededRng;
use std::sync::atomic::{AtomicUsize, Ordering};

fn floor() -> Argon2idHasher {
    Argon2idHasher::new(HashParams::FLOOR).expect("the floor is allowed")
}

#[test]
fn the_defaults_are_64_mib_3_passes_4_lanes_and_the_floor_19_mib_2_passes_1_lane() {
    let params = |m: u32, t, p| HashParams { memory_kib: m << 10, passes: t, lanes: p };
    assert_eq!(HashParams::default(), params(64, 3, 4));
    assert_eq!(HashParams::FLOOR, params(19, 2, 1));
}

#[test]
fn parameters_below_the_floor_or_above_the_cap_are_refused() {
    let (floor, cap) = (HashParams::FLOOR, HashParams::CAP);
    let outside = [
        HashParams { memory_kib: floor.memory_kib - 1, ..floor },
        HashParams { passes: floor.passes - 1, ..floor },
        HashParams { lanes: 0, ..floor },
        HashParams { memory_kib: cap.memory_kib + 1, ..floor },
        HashParams { passes: cap.passes + 1, ..floor },
        HashParams { lanes: cap.lanes + 1, ..floor },
        HashParams { memory_kib: u32::MAX, passes: u32::MAX, lanes: u32::MAX },
    ];
    for params in outside {
        assert!(Argon2idHasher::new(params).is_err(), "{params:?}");
        let HashParams { memory_kib: m, passes: t, lanes: p } = params;
        let salt_and_hash = "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let stored = format!("$argon2id$v=19$m={m},t={t},p={p}${salt_and_hash}");
        let verified = self::floor().verify(&"correct horse".into(), &stored);
        assert!(matches!(verified, Err(Error::Invalid { .. })), "{stored}");
    }
}

#[test]
fn phc_strings_that_are_not_canonical_are_refused() {
    let hasher = floor();
    let stored = hasher.hash(&"correct horse".into(), &SeededRng::new(1)).expect("hashes");
    let replaced = [
        ("argon2id", "argon2i"),
        ("v=19", "v=16"),
        ("$v=19", ""),
        ("m=19456,t=2", "t=2,m=19456"),
        ("m=19456", "m=019456"),
        ("m=19456", "m=+19456"),
        ("p=1", "p=1,data=AA"),
        ("p=1$", "p=1$$"),
        ("$argon2id", "argon2id"),
    ];
    for (from, to) in replaced {
        let text = stored.replacen(from, to, 1);
        assert_ne!(text, stored);
        assert!(hasher.accepts(&text).is_err(), "{text}");
    }
    for text in
        ["", "$", "$argon2id$", &format!("{stored}="), &format!("{stored}$"), &"$".repeat(300)]
    {
        assert!(hasher.accepts(text).is_err(), "{text}");
    }
    for len in 0..stored.len() {
        let cut = &stored[..len];
        // A shorter hash that is well-formed is another hash, never this one.
        assert!(hasher.accepts(cut).is_err() || len > stored.len() - 22, "{cut}");
    }
}

#[test]
fn a_password_is_checked_with_the_parameters_that_are_stored() {
    let dearer = HashParams { passes: 3, ..HashParams::FLOOR };
    let dearer = Argon2idHasher::new(dearer).expect("within bounds");
    let password = Secret::from("correct horse");
    let stored = floor().hash(&password, &SeededRng::new(1)).expect("hashes");
    assert_eq!(floor().verify(&password, &stored).expect("well-formed"), Verdict::Right);
    assert_eq!(dearer.verify(&password, &stored).expect("well-formed"), Verdict::Outdated);
    assert_eq!(dearer.verify(&"wrong horse".into(), &stored).expect("well-formed"), Verdict::Wrong);
    let too_long = Secret::from(vec![b'x'; 1025]);
    assert_eq!(dearer.verify(&too_long, &stored).expect("well-formed"), Verdict::Wrong);
    assert!(dearer.hash(&too_long, &SeededRng::new(1)).is_err());
}

#[test]
fn bcrypt_hashes_are_checked_and_always_outdated() {
    let hasher = floor();
    let password = Secret::from("correct horse");
    let made = bcrypt::hash_with_salt(password.expose(), 4, [7; 16]).expect("hashes");
    for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
        let stored = made.format_for_version(version);
        assert_eq!(hasher.verify(&password, &stored).expect("well-formed"), Verdict::Outdated);
        assert_eq!(hasher.verify(&"wrong".into(), &stored).expect("well-formed"), Verdict::Wrong);
    }
    let stored = made.format_for_version(bcrypt::Version::TwoB);
    for (from, to) in
        [("$2b", "$2x"), ("$04", "$03"), ("$04", "$16"), ("$04", "$31"), ("$04", "$+4")]
    {
        assert!(hasher.accepts(&stored.replacen(from, to, 1)).is_err(), "{to}");
    }
}

#[test]
fn every_bit_flip_of_a_bcrypt_string_is_refused_without_panic() {
    let (hasher, password) = (floor(), Secret::from("correct horse"));
    let made = bcrypt::hash_with_salt(password.expose(), 4, [7; 16]).expect("hashes");
    let stored = made.format_for_version(bcrypt::Version::TwoB);
    for bit in 0..stored.len() * 8 {
        let mut bytes = stored.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(text) = String::from_utf8(bytes) else { continue };
        // Only the name of the version is not part of the hash: 2b and 2a mean the same today.
        if bit / 8 == 2 || hasher.accepts(&text).is_err() {
            continue;
        }
        let verdict = hasher.verify(&password, &text);
        assert!(matches!(verdict, Ok(Verdict::Wrong) | Err(_)), "bit {bit}: {text}");
    }
}

#[test]
fn at_most_the_allowed_number_hash_at_once_and_too_many_waiting_are_sent_away() {
    let gate = HashGate::new(2, 3);
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (done, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let Ok(_place) = gate.enter() else {
                        refused.fetch_add(1, Ordering::SeqCst);
                        continue;
                    };
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 2);
    assert_eq!(done.load(Ordering::SeqCst) + refused.load(Ordering::SeqCst), 800);
    // With every place taken and nobody allowed to wait there is no waiting at all.
    let gate = HashGate::new(1, 0);
    let place = gate.enter().expect("free");
    assert!(matches!(gate.enter(), Err(Error::Busy)));
    drop(place);
    assert!(gate.enter().is_ok());
}
