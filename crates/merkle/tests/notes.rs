//! Notes, keys, checkpoints, cosignatures: the strict form, and whose signatures count.

use cairn_merkle::hash::leaf_hash;
use cairn_merkle::log::{SIZE_MAX, TreeHead};
use cairn_merkle::note::{
    Checkpoint, KeyId, KeyName, Note, Policy, SignatureKind, SignatureLine, Signer, Verifier,
};
use cairn_merkle::{Error, Result};
use cairn_vfs::SeededRng;
use proptest::prelude::*;

use crate::support::{flips, signer};

use SignatureKind::{CosignatureV1, Ed25519};

fn head() -> TreeHead {
    TreeHead { size: 109_482, root: leaf_hash(b"root") }
}

fn signed() -> (Signer, String) {
    let key = signer("example.com/log", Ed25519, 1);
    let note = Checkpoint::new("example.com/log", head()).expect("good").sign(&key).expect("fits");
    (key, note.to_string())
}

#[test]
fn every_flipped_bit_of_a_checkpoint_is_refused() {
    let (key, text) = signed();
    let policy = Policy::new("example.com/log", vec![key.verifier()]);
    let check = |bytes: &[u8]| Note::parse(bytes).and_then(|note| policy.check(&note));
    assert_eq!(*check(text.as_bytes()).expect("as signed").checkpoint.head(), head());
    for (bit, flipped) in flips(text.as_bytes()) {
        assert!(check(&flipped).is_err(), "bit {bit}");
    }
    for len in 0..text.len() {
        assert!(check(&text.as_bytes()[..len]).is_err(), "cut to {len}");
    }
    for extra in ["\n", " ", "x", "— example.com/log\n"] {
        assert!(check(format!("{text}{extra}").as_bytes()).is_err(), "{extra:?}");
        assert!(check(format!("{extra}{text}").as_bytes()).is_err(), "{extra:?}");
    }
}

#[test]
fn every_flipped_bit_of_a_key_is_refused() {
    let key = signer("example.com/log", Ed25519, 1);
    let (public, secret) = (key.verifier().to_string(), key.to_secret_text());
    assert_eq!(public.parse::<Verifier>().expect("as written"), key.verifier());
    assert_eq!(Signer::parse(&secret).expect("as written").verifier(), key.verifier());
    for (bit, flipped) in flips(public.as_bytes()) {
        let parsed = String::from_utf8(flipped).map(|text| text.parse::<Verifier>());
        assert!(!matches!(parsed, Ok(Ok(_))), "bit {bit}");
    }
    for (bit, flipped) in flips(secret.as_bytes()) {
        let parsed = String::from_utf8(flipped).map(|text| Signer::parse(&text));
        assert!(!matches!(parsed, Ok(Ok(_))), "bit {bit}");
    }
    assert!(Signer::parse(&public).is_err());
    assert!(secret.parse::<Verifier>().is_err());
    assert!(!format!("{key:?}").contains(secret.rsplit('+').next().expect("parts")));
}

#[test]
fn keys_that_sign_for_many_texts_or_have_two_forms_are_refused() -> Result<()> {
    let name = || KeyName::new("weak").expect("a good name");
    let mut one = [0; 32];
    one[0] = 1;
    // y = 1 of order 1; y = 0 of order 4; y = 2^255 - 18, a second form of y = 1.
    let mut second_form = [0xff; 32];
    (second_form[0], second_form[31]) = (0xee, 0x7f);
    for bytes in [one, [0; 32], second_form] {
        assert!(Verifier::new(name(), Ed25519, &bytes).is_err(), "{bytes:?}");
    }
    assert!(Signer::from_seed(name(), Ed25519, &[0; 32]).is_err());
    assert!(Signer::from_seed(name(), Ed25519, &[1; 32]).is_ok());
    Ok(())
}

#[test]
fn only_plain_names_are_names() {
    for wrong in ["", " ", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{3000}", "\u{1}", "a\u{85}"] {
        assert!(KeyName::new(wrong).is_err(), "{wrong:?}");
    }
    assert!(KeyName::new("x".repeat(1025)).is_err());
    for good in ["a", "example.com/log", "\u{2014}", "ключ", &"x".repeat(1024)] {
        assert!(KeyName::new(good).is_ok(), "{good:?}");
    }
}

#[test]
fn only_the_exact_form_is_a_note() {
    let line = "— a AAAAAAA=";
    let good = |text: String| Note::parse(text.as_bytes()).map(|note| note.to_string() == text);
    for text in ["t\n", "\n", "a\n\nb\n", "t\n\n", "\u{2014} a AAAAAAA=\n", "t \u{7f}\n"] {
        assert!(good(format!("{text}\n{line}\n")).expect("a note"), "{text:?}");
    }
    for wrong in [
        "".to_owned(),
        "\n".into(),
        "\n\n".into(),
        "t\n\n".into(),
        format!("t\n{line}\n"),
        format!("t\n\n{line}"),
        format!("t\n\n{line}\n\n"),
        format!("\n{line}\n"),
        format!("t\r\n\n{line}\n"),
        format!("t\t\n\n{line}\n"),
        format!("t\0\n\n{line}\n"),
        format!("t\n\n{line}\r\n"),
        "t\n\n— a AAAAAAA\n".into(),
        "t\n\n— a AAAAAAB=\n".into(),
        "t\n\n— a AAAAAA==\n".into(),
        "t\n\n— a AAAA\n".into(),
        "t\n\n— a  AAAAAAA=\n".into(),
        "t\n\n— a AAAAAAA= \n".into(),
        "t\n\n—  AAAAAAA=\n".into(),
        "t\n\n—a AAAAAAA=\n".into(),
        "t\n\n- a AAAAAAA=\n".into(),
        "t\n\n— a+b AAAAAAA=\n".into(),
        "t\n\n— a\u{a0}b AAAAAAA=\n".into(),
        "t\n\n— AAAAAAA=\n".into(),
    ] {
        assert!(Note::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
    assert!(Note::parse(b"\xff\n\n\xe2\x80\x94 a AAAAAAA=\n").is_err());
    for wrong in ["", "no newline", "bell\u{7}\n"] {
        assert!(Note::new(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn long_notes_and_many_signatures_are_refused() {
    let line = "— a AAAAAAA=\n";
    let of = |text_len: usize, lines: usize| {
        let text = "x".repeat(text_len);
        Note::parse(format!("{text}\n\n{}", line.repeat(lines)).as_bytes())
    };
    assert!(of(10, 100).is_ok());
    assert!(matches!(of(10, 101), Err(Error::OutOfRange { .. })));
    assert!(of(1_000_000 - 2 - line.len(), 1).is_ok());
    assert!(matches!(of(1_000_001 - 2 - line.len(), 1), Err(Error::OutOfRange { .. })));
    assert!(Note::new("x".repeat(1_000_000) + "\n").is_err());
    let mut note = of(10, 100).expect("fits");
    let again = note.signatures()[0].clone();
    assert!(note.add(again.clone()).is_err());
    let mut note = of(1_000_000 - 2 - line.len(), 1).expect("fits");
    assert!(note.add(again).is_err());
}

#[test]
fn unknown_keys_are_passed_over_and_a_wrong_line_of_a_known_one_is_not() -> Result<()> {
    let [a, b] = [1, 2].map(|seed| signer("log.example", Ed25519, seed));
    let other = signer("other.example", Ed25519, 3);
    let mut note = Note::new("text\n")?;
    for key in [&other, &a] {
        note.add(key.sign(note.text())?)?;
    }
    let [known, same_name] = [a.verifier(), b.verifier()];
    assert_eq!(note.verify(&[known.clone(), same_name.clone()])?.len(), 1);
    assert!(matches!(note.verify(&[same_name]), Err(Error::NotSigned { .. })));
    assert!(matches!(note.verify(&[]), Err(Error::NotSigned { .. })));
    // The same line twice counts once; a second, wrong line of the key spoils the note.
    note.add(a.sign(note.text())?)?;
    assert_eq!(note.verify(std::slice::from_ref(&known))?.len(), 1);
    assert_eq!(note.verify(&[known.clone(), known.clone()])?.len(), 1);
    note.add(a.sign("another text\n")?)?;
    assert!(matches!(
        note.verify(&[known.clone(), other.verifier()]),
        Err(Error::BadSignature { .. })
    ));
    // Who does not know that key is not disturbed.
    assert_eq!(note.verify(&[other.verifier()])?.len(), 1);
    // A line that claims a known key but has no signature in it.
    let mut note = Note::new("text\n")?;
    note.add(SignatureLine::new(known.name().clone(), known.id(), vec![1]))?;
    assert!(matches!(note.verify(&[known]), Err(Error::BadSignature { .. })));
    Ok(())
}

#[test]
fn only_the_exact_form_is_a_checkpoint() -> Result<()> {
    let root = head().root.to_base64();
    let parse = |text: &str| text.parse::<Checkpoint>();
    for good in [
        format!("o\n7\n{root}\n"),
        format!("o with spaces + plus\n{SIZE_MAX}\n{root}\n"),
        format!("o\n7\n{root}\nextension\nmore\n"),
    ] {
        assert_eq!(parse(&good)?.to_string(), good);
    }
    for wrong in [
        String::new(),
        format!("o\n7\n{root}"),
        format!("\n7\n{root}\n"),
        format!("o\n\n{root}\n"),
        format!("o\n07\n{root}\n"),
        format!("o\n+7\n{root}\n"),
        format!("o\n-7\n{root}\n"),
        format!("o\n7 \n{root}\n"),
        format!("o\n0x7\n{root}\n"),
        format!("o\n\u{661}\n{root}\n"),
        format!("o\n0\n{root}\n"),
        format!("o\n9223372036854775808\n{root}\n"),
        format!("o\n18446744073709551616\n{root}\n"),
        "o\n7\n".into(),
        "o\n7\n\n".into(),
        format!("o\n7\n{}\n", &root[..43]),
        format!("o\n7\n{root}\n\n"),
        format!("o\n7\n{root}\n\nextension\n"),
        format!("o\r\n7\n{root}\n"),
    ] {
        assert!(parse(&wrong).is_err(), "{wrong:?}");
    }
    assert!(Checkpoint::new("", head()).is_err());
    assert!(Checkpoint::new("a\nb", head()).is_err());
    assert!(Checkpoint::new("a", head())?.with_extension("").is_err());
    assert!(Checkpoint::new("a", TreeHead { size: SIZE_MAX + 1, ..head() }).is_err());
    Ok(())
}

#[test]
fn a_witness_signs_time_and_checkpoint_and_never_stands_in_for_the_log() -> Result<()> {
    let (log, text) = signed();
    let [w1, w2, w3] = [1, 2, 3].map(|n| signer(&format!("w{n}.example"), CosignatureV1, n));
    let mut note = Note::parse(text.as_bytes())?;
    note.add(w1.cosign(&note, 1_679_315_147)?)?;
    note.add(w2.cosign(&note, i64::MAX as u64)?)?;
    note.add(w3.cosign(&note, 5)?)?;
    let note = Note::parse(note.to_string().as_bytes())?;

    let keys = vec![w1.verifier(), w2.verifier()];
    let policy = |witnesses: &[Verifier], quorum| {
        Policy::new("example.com/log", vec![log.verifier()])
            .with_witnesses(witnesses.to_vec(), quorum)
    };
    let verified = policy(&keys, 2).check(&note)?;
    let times: Vec<u64> = verified.cosignatures.iter().map(|witness| witness.time).collect();
    assert_eq!(times, [1_679_315_147, i64::MAX as u64]);
    assert!(matches!(policy(&keys, 3).check(&note), Err(Error::NotSigned { .. })));
    let twice = [keys.clone(), keys.clone()].concat();
    assert!(matches!(policy(&twice, 3).check(&note), Err(Error::NotSigned { .. })));
    // The log's own signature is no cosignature, and a witness is not the log.
    assert!(policy(&[log.verifier()], 1).check(&note).is_err());
    let mut alone = Note::new(note.text())?;
    alone.add(w1.cosign(&note, 7)?)?;
    assert!(matches!(policy(&keys, 1).check(&alone), Err(Error::NotSigned { .. })));

    assert!(w1.cosign(&note, i64::MAX as u64 + 1).is_err());
    assert!(w1.cosign(&Note::new("no checkpoint\n")?, 7).is_err());
    assert!(log.cosign(&note, 7).is_err());
    assert!(w1.sign(note.text()).is_err(), "a witness signs no plain notes");
    Ok(())
}

#[test]
fn a_cosignature_with_another_time_or_text_is_wrong() -> Result<()> {
    let (_, text) = signed();
    let witness = signer("w.example", CosignatureV1, 9);
    let mut note = Note::parse(text.as_bytes())?;
    let line = witness.cosign(&note, 77)?;
    for (bit, changed) in flips(line.signature()) {
        let changed = SignatureLine::new(line.name().clone(), line.id(), changed);
        let mut note = Note::new(note.text())?;
        note.add(changed)?;
        assert!(note.verify(&[witness.verifier()]).is_err(), "bit {bit}");
    }
    for len in 1..line.signature().len() {
        let cut =
            SignatureLine::new(line.name().clone(), line.id(), line.signature()[..len].into());
        let mut note = Note::new(note.text())?;
        note.add(cut)?;
        assert!(note.verify(&[witness.verifier()]).is_err(), "cut to {len}");
    }
    note.add(line.clone())?;
    assert_eq!(note.verify(&[witness.verifier()])?[0].time, Some(77));
    // The same key as an ordinary one has another id: neither passes for the other.
    let plain = signer("w.example", Ed25519, 9).verifier();
    assert_eq!(plain.public_key(), witness.verifier().public_key());
    assert_ne!(plain.id(), line.id());
    assert!(note.verify(&[plain]).is_err());
    Ok(())
}

#[test]
fn another_origin_is_refused_though_the_signature_is_good() -> Result<()> {
    let (log, text) = signed();
    let policy = Policy::new("example.com/other", vec![log.verifier()]);
    let refused = policy.check(&Note::parse(text.as_bytes())?);
    assert!(matches!(refused, Err(Error::UnknownOrigin { .. })));
    Ok(())
}

proptest! {
    #[test]
    fn what_is_parsed_is_formatted_to_the_same_bytes(
        text in "([a-z \u{2014}\u{e9}]{0,9}\n){1,4}", names in proptest::collection::vec("[a-z/.]{1,9}", 1..5),
        signature in proptest::collection::vec(any::<u8>(), 1..90),
    ) {
        let mut note = Note::new(text).expect("plain");
        for name in names {
            let name = KeyName::new(name).expect("plain");
            note.add(SignatureLine::new(name, KeyId::new([1, 2, 3, 4]), signature.clone())).expect("fits");
        }
        prop_assert_eq!(&Note::parse(note.to_string().as_bytes()).expect("as written"), &note);
    }

    #[test]
    fn random_text_never_panics(text in "(t\n\n)?(\u{2014} )?[a-z+ =\n\u{2014}/A]{0,60}\n?") {
        if let Ok(note) = Note::parse(text.as_bytes()) {
            prop_assert_eq!(note.to_string(), text.clone());
        }
        if let Ok(checkpoint) = text.parse::<Checkpoint>() {
            prop_assert_eq!(checkpoint.to_string(), text.clone());
        }
        prop_assert!(text.parse::<Verifier>().is_err());
        prop_assert!(Signer::parse(&text).is_err());
    }

    #[test]
    fn generated_keys_sign_and_come_back(seed in any::<u64>(), name in "[a-z./]{1,30}") {
        for kind in [Ed25519, CosignatureV1] {
            let name = KeyName::new(name.as_str()).expect("plain");
            let key = Signer::generate(name, kind, &SeededRng::new(seed));
            let again = Signer::parse(&key.to_secret_text()).expect("as written");
            let verifier: Verifier = key.verifier().to_string().parse().expect("as written");
            let text = Checkpoint::new("o", head()).expect("good").to_string();
            let note = Note::new(text.clone()).expect("a text");
            let line = match kind {
                Ed25519 => again.sign(&text).expect("its kind"),
                CosignatureV1 => again.cosign(&note, seed >> 1).expect("its kind"),
            };
            prop_assert!(verifier.verify(&text, line.signature()).is_ok());
            prop_assert!(verifier.verify("o\n", line.signature()).is_err());
        }
    }
}
