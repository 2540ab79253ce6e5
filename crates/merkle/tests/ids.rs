//! Ids as other programs write them.

use cairn_merkle::dag::{Cid, Codec, Error};
use proptest::prelude::*;

/// The well-known id of the raw block `hello world`.
const HELLO_WORLD: &str = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
/// The well-known id of the empty DAG-CBOR map.
const EMPTY_MAP: &str = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua";

#[test]
fn well_known_blocks_have_their_well_known_ids() {
    assert_eq!(Cid::of(Codec::Raw, b"hello world").to_string(), HELLO_WORLD);
    assert_eq!(Cid::of(Codec::DagCbor, &[0xa0]).to_string(), EMPTY_MAP);
    let parsed: Cid = HELLO_WORLD.parse().expect("valid");
    assert_eq!(parsed, Cid::of(Codec::Raw, b"hello world"));
    assert_eq!(parsed.encode()[..4], [0x01, 0x55, 0x12, 0x20]);
}

#[test]
fn texts_in_any_other_form_are_refused() {
    let spare = format!("{}f", &HELLO_WORLD[..HELLO_WORLD.len() - 1]);
    for text in [
        "",
        "b",
        &HELLO_WORLD.to_uppercase(),
        &HELLO_WORLD[1..],
        &HELLO_WORLD[..HELLO_WORLD.len() - 1],
        &format!("{HELLO_WORLD}a"),
        &format!(" {HELLO_WORLD}"),
        &HELLO_WORLD.replace("jut", "j1t"),
        &HELLO_WORLD.replace("jut", "jé"),
        &spare,
        "QmWATWQ7fVPP2EFGu71UkfnqhYXDYH566qy47CnJDgvs8u",
    ] {
        assert!(text.parse::<Cid>().is_err(), "{text:?}");
    }
}

#[test]
fn ids_of_other_versions_codecs_and_hashes_are_named() {
    let valid = Cid::of(Codec::Raw, b"").encode();
    for (at, value, what, number) in [
        (0, 0x12, "an id of version", 0),
        (0, 2, "an id of version", 2),
        (1, 0x70, "an id with codec", 0x70),
        (2, 0x13, "an id with hash function", 0x13),
    ] {
        let mut bytes = valid;
        bytes[at] = value;
        let refused = Cid::decode(&bytes).expect_err("another kind");
        assert!(
            matches!(refused, Error::Unsupported { what: part, found } if part == what && found == number),
            "{refused}"
        );
    }
    for bytes in [&valid[..35], &[&valid[..], &[0]].concat(), &[1, 0x55, 0x12, 0x1f]] {
        assert!(Cid::decode(bytes).is_err());
    }
}

proptest! {
    #[test]
    fn ids_survive_their_text_and_bytes(data: Vec<u8>, raw: bool) {
        let id = Cid::of(if raw { Codec::Raw } else { Codec::DagCbor }, &data);
        prop_assert_eq!(id.to_string().parse::<Cid>().expect("valid"), id);
        prop_assert_eq!(Cid::decode(&id.encode()).expect("valid"), id);
    }

    #[test]
    fn any_text_is_refused_or_written_back_alike(text in "b[a-z2-7]{58}") {
        if let Ok(id) = text.parse::<Cid>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}
