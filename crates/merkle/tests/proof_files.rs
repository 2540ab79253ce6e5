//! Proof files: the strict form, what they show, and that no bit of them can be changed.

use cairn_merkle::Result;
use cairn_merkle::hash::{Hash, leaf_hash};
use cairn_merkle::log::{TileReader, TreeHead, prove};
use cairn_merkle::note::{Checkpoint, Note, Policy, SignatureKind, Signer, Verifier};
use cairn_merkle::proof_file::{self, ProofFile};
use proptest::prelude::*;

use crate::support::{flips, leaf, signer, tiled};

use SignatureKind::{CosignatureV1, Ed25519};

const ORIGIN: &str = "example.com/log";
const SIZE: u64 = 700;
const INDEX: u64 = 321;

fn file_of(index: u64, size: u64) -> (Signer, TreeHead, ProofFile) {
    let (tiles, head) = tiled(size);
    let key = signer(ORIGIN, Ed25519, 1);
    let note = Checkpoint::new(ORIGIN, head).expect("good").sign(&key).expect("fits");
    let reader = TileReader::open(tiles, head).expect("published");
    let proof = prove::inclusion(&reader, index, size).expect("in range");
    (key, head, ProofFile::new(index, proof, note).expect("fits"))
}

fn check(bytes: &[u8], leaf: &Hash, keys: &[Verifier]) -> Result<proof_file::Verified> {
    proof_file::verify(bytes, leaf, keys, ORIGIN)
}

#[test]
fn a_proof_file_shows_the_entry_its_place_and_its_tree() {
    for (index, size) in [(0, 1), (0, 2), (1, 2), (INDEX, SIZE), (SIZE - 1, SIZE)] {
        let (key, head, file) = file_of(index, size);
        let text = file.to_string();
        assert_eq!(ProofFile::parse(text.as_bytes()).expect("as written"), file);
        let verified =
            check(text.as_bytes(), &leaf(index), &[key.verifier()]).expect("it is there");
        assert_eq!((verified.index, verified.head), (index, head));
        assert_eq!((verified.origin.as_str(), verified.cosignatures.len()), (ORIGIN, 0));
        assert!(check(text.as_bytes(), &leaf(index + 1), &[key.verifier()]).is_err());
        assert!(check(text.as_bytes(), &leaf(index), &[]).is_err());
        let stranger = signer(ORIGIN, Ed25519, 2).verifier();
        assert!(check(text.as_bytes(), &leaf(index), &[stranger]).is_err());
        let elsewhere = [key.verifier()];
        let refused =
            proof_file::verify(text.as_bytes(), &leaf(index), &elsewhere, "example.com/other");
        assert!(refused.is_err());
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_proof_file_is_refused() {
    let (key, _, file) = file_of(INDEX, SIZE);
    let (text, keys) = (file.to_string(), [key.verifier()]);
    for (bit, flipped) in flips(text.as_bytes()) {
        assert!(check(&flipped, &leaf(INDEX), &keys).is_err(), "bit {bit}");
    }
    for len in 0..text.len() {
        assert!(check(&text.as_bytes()[..len], &leaf(INDEX), &keys).is_err(), "cut to {len}");
    }
    for at in 0..text.len() {
        for byte in [b'\n', b' ', b'0', b'A'] {
            let mut longer = text.clone().into_bytes();
            longer.insert(at, byte);
            assert!(check(&longer, &leaf(INDEX), &keys).is_err(), "{byte} inserted at {at}");
        }
    }
}

#[test]
fn flips_in_extra_data_and_unknown_signatures_change_nothing_that_was_shown() {
    let (key, _, file) = file_of(INDEX, SIZE);
    let witness = signer("w.example", CosignatureV1, 5);
    let mut note = file.checkpoint().clone();
    note.add(witness.cosign(&note, 1_679_315_147).expect("a checkpoint")).expect("fits");
    let file = ProofFile::new(INDEX, file.proof().to_vec(), note).expect("fits");
    let file = file.with_extra(b"nobody vouches for this".to_vec()).expect("fits");
    let policy =
        Policy::new(ORIGIN, vec![key.verifier()]).with_witnesses(vec![witness.verifier()], 1);
    let verify =
        |bytes: &[u8]| ProofFile::parse(bytes).and_then(|file| file.verify(&leaf(INDEX), &policy));
    let text = file.to_string();
    let whole = verify(text.as_bytes()).expect("it is there");
    assert_eq!(whole.cosignatures[0].time, 1_679_315_147);
    let mut accepted = 0;
    for (bit, flipped) in flips(text.as_bytes()) {
        let Ok(mut verified) = verify(&flipped) else { continue };
        let line = text[..bit / 8].rfind('\n').map_or(0, |at| at + 1);
        assert!(text[line..].starts_with("extra "), "bit {bit}");
        assert_ne!(verified.unauthenticated_extra, whole.unauthenticated_extra);
        verified.unauthenticated_extra.clone_from(&whole.unauthenticated_extra);
        assert_eq!(verified, whole, "bit {bit}");
        accepted += 1;
    }
    assert!(accepted > 50, "extra data is not signed: {accepted}");
}

#[test]
fn a_proof_of_one_tree_is_worth_nothing_in_another() {
    let (key, _, file) = file_of(INDEX, SIZE);
    let (_, _, later) = file_of(INDEX, SIZE + 1);
    let mixed = ProofFile::new(INDEX, file.proof().to_vec(), later.checkpoint().clone());
    let mixed = mixed.expect("fits").to_string();
    assert!(check(mixed.as_bytes(), &leaf(INDEX), &[key.verifier()]).is_err());
    // An inner node does not pass for an entry's leaf, nor does the root of the whole tree.
    let root = ProofFile::new(0, vec![], file.checkpoint().clone()).expect("fits").to_string();
    let head: Checkpoint = file.checkpoint().text().parse().expect("a checkpoint");
    assert!(check(root.as_bytes(), &head.head().root, &[key.verifier()]).is_err());
}

#[test]
fn only_the_exact_form_is_a_proof_file() {
    let hash = leaf_hash(b"x").to_base64();
    let root = leaf_hash(b"y").to_base64();
    let note = format!("o\n7\n{root}\n\n— o AAAAAAA=\n");
    let good = |head: &str| ProofFile::parse(format!("{head}\n{note}").as_bytes());
    let header = proof_file::HEADER;
    for head in [
        format!("{header}\nindex 0\n"),
        format!("{header}\nindex 9223372036854775807\n{hash}\n"),
        format!("{header}\nextra AA==\nindex 7\n{}", format!("{hash}\n").repeat(63)),
    ] {
        let file = good(&head).expect("a proof file");
        assert_eq!(file.to_string(), format!("{head}\n{note}"));
    }
    for head in [
        String::new(),
        format!("{header}\n"),
        format!("{header} \nindex 0\n"),
        "c2sp.org/tlog-proof@v2\nindex 0\n".into(),
        format!("{header}\r\nindex 0\n"),
        format!("{header}\nindex\n"),
        format!("{header}\nindex \n"),
        format!("{header}\nindex 00\n"),
        format!("{header}\nindex 01\n"),
        format!("{header}\nindex +1\n"),
        format!("{header}\nindex -1\n"),
        format!("{header}\nindex  1\n"),
        format!("{header}\nindex 1 \n"),
        format!("{header}\nIndex 1\n"),
        format!("{header}\nindex 9223372036854775808\n"),
        format!("{header}\nindex 99999999999999999999999\n"),
        format!("{header}\nextra\nindex 1\n"),
        format!("{header}\nextra \nindex 1\n"),
        format!("{header}\nextra A\nindex 1\n"),
        format!("{header}\nextra AB==\nindex 1\n"),
        format!("{header}\nextra AA\nindex 1\n"),
        format!("{header}\nextra AA==\nextra AA==\nindex 1\n"),
        format!("{header}\nindex 1\nextra AA==\n"),
        format!("{header}\nindex 1\nindex 1\n"),
        format!("{header}\nindex 1\n{}\n", &hash[..43]),
        format!("{header}\nindex 1\n{hash} \n"),
        format!("{header}\nindex 1\n {hash}\n"),
        format!("{header}\nindex 1\n{hash}{hash}\n"),
        format!("{header}\nindex 1\n{}", format!("{hash}\n").repeat(64)),
        format!("{header}\nindex 1\n\n"),
        format!("\n{header}\nindex 1\n"),
    ] {
        assert!(good(&head).is_err(), "{head:?}");
    }
    assert!(ProofFile::parse(&vec![b'\n'; 2_000_000]).is_err());
    assert!(ProofFile::parse(&[0xff; 100]).is_err());
    let note = Note::parse(note.as_bytes()).expect("a note");
    assert!(ProofFile::new(0, vec![leaf_hash(b"x"); 64], note.clone()).is_err());
    let file = ProofFile::new(0, vec![], note).expect("fits");
    assert!(file.clone().with_extra(vec![0; (64 << 10) + 1]).is_err());
    let file = file.with_extra(vec![0; 64 << 10]).expect("fits");
    assert_eq!(ProofFile::parse(file.to_string().as_bytes()).expect("as written"), file);
}

proptest! {
    #[test]
    fn random_lines_never_panic(head in "(c2sp.org/tlog-proof@v1\n)?(extra [A-D]{0,8}={0,2}\n)?(index [0-9]{0,20}\n)?[a-zA-Z+/=\n]{0,99}\n?") {
        let note = "o\n7\nWqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=\n\n\u{2014} o AAAAAAA=\n";
        for text in [head.clone(), format!("{head}\n{note}")] {
            if let Ok(file) = ProofFile::parse(text.as_bytes()) {
                prop_assert_eq!(file.to_string(), text);
            }
        }
    }
}
