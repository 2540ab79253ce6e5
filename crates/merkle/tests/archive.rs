//! Archives against hand-made bytes, damage and endless streams.

use cairn_merkle::dag::{Cid, Codec, Dag, Error, MemoryStore, Node, NodeStore};
use proptest::prelude::*;
use std::io::Read;

fn dag() -> Dag<MemoryStore> {
    Dag::new(MemoryStore::new())
}

fn section(cid: &Cid, block: &[u8]) -> Vec<u8> {
    let len = u8::try_from(36 + block.len()).expect("small");
    assert!(len < 0x80, "one byte says it");
    [&[len][..], &cid.encode(), block].concat()
}

fn header(roots: &[Cid]) -> Vec<u8> {
    let mut body = [b"\xa2\x65roots", &[0x80 + roots.len() as u8][..]].concat();
    for root in roots {
        body.extend_from_slice(b"\xd8\x2a\x58\x25\0");
        body.extend_from_slice(&root.encode());
    }
    body.extend_from_slice(b"\x67version\x01");
    let len = body.len() as u8;
    let prefix = if len < 0x80 { vec![len] } else { vec![len, 1] };
    [prefix, body].concat()
}

/// Two blocks: a raw one and a node that links to it.
fn example() -> (Cid, Node, Vec<u8>) {
    let leaf = Cid::of(Codec::Raw, b"leaf");
    let node = Node::new("").with_link("l", leaf, 4);
    let (root, block) = (node.cid().expect("small"), node.encode().expect("small"));
    (root, node, [header(&[root]), section(&root, &block), section(&leaf, b"leaf")].concat())
}

#[test]
fn an_export_is_the_archive_made_by_hand() {
    let (root, node, expected) = example();
    let dag = dag();
    dag.add_raw("leaf").expect("small");
    assert_eq!(dag.add_node(&node).expect("small"), root);
    dag.add_raw("beside").expect("small");
    let mut archive = Vec::new();
    assert_eq!(dag.export(&[root], &mut archive).expect("whole"), 2);
    assert_eq!(archive, expected);
}

#[test]
fn an_import_brings_what_was_exported() {
    let (root, node, archive) = example();
    let dag = dag();
    let report = dag.import(&mut archive.as_slice()).expect("valid");
    assert_eq!((report.roots, report.blocks), (vec![root], 2));
    assert_eq!(dag.get_node(&root).expect("there"), node);
    assert!(dag.verify_integrity(&[root], 9).expect("memory").is_whole());
    assert!(dag.roots().expect("memory").is_empty(), "an import names no root");
    dag.import(&mut archive.as_slice()).expect("again");
    assert_eq!(dag.store().len(), 2);
}

#[test]
fn archives_without_roots_or_blocks_are_archives() {
    let dag = dag();
    let mut archive = Vec::new();
    assert_eq!(dag.export(&[], &mut archive).expect("nothing to find"), 0);
    assert_eq!(archive, header(&[]));
    assert_eq!(dag.import(&mut archive.as_slice()).expect("valid").blocks, 0);
    assert!(matches!(dag.import(&mut [].as_slice()), Err(Error::Invalid { .. })));
}

#[test]
fn no_flipped_bit_of_a_block_gets_in() {
    let (root, _, archive) = example();
    let start = header(&[root]).len();
    for bit in 0..archive.len() * 8 {
        let mut archive = archive.clone();
        archive[bit / 8] ^= 1 << (bit % 8);
        let dag = dag();
        let imported = dag.import(&mut archive.as_slice());
        assert!(imported.is_err() || bit / 8 < start, "bit {bit}");
        if let Ok(report) = imported {
            assert_ne!(report.roots, [root], "only a root's id can change unnoticed");
        }
        let leaf = Cid::of(Codec::Raw, b"leaf");
        for cid in [root, leaf] {
            if dag.store().contains(&cid).expect("memory") {
                dag.get_block(&cid).expect("what was kept is whole");
            }
        }
    }
}

#[test]
fn an_archive_cut_anywhere_else_than_between_blocks_is_refused() {
    let (root, node, archive) = example();
    let first = header(&[root]).len();
    let second = first + section(&root, &node.encode().expect("small")).len();
    for len in 0..archive.len() {
        let imported = dag().import(&mut &archive[..len]);
        assert_eq!(imported.is_ok(), len == first || len == second, "{len} bytes");
    }
}

#[test]
fn lengths_are_not_believed() {
    let (root, _, _) = example();
    for len in [&[0x00][..], &[0x23], &[0x80, 0x00], &[0xff; 9], &[0xff; 20], &[0xff, 0xff, 0x7f]] {
        let archive = [&header(&[root])[..], len, &[0; 64]].concat();
        assert!(dag().import(&mut archive.as_slice()).is_err(), "{len:?}");
        assert!(dag().import(&mut [len, &[0; 64]].concat().as_slice()).is_err(), "{len:?}");
    }
    let start = header(&[root]);
    let endless = &mut start.as_slice().chain(std::io::repeat(0xfe));
    assert!(dag().import(endless).is_err());
}

#[test]
fn other_versions_ids_and_blocks_that_are_no_nodes_are_refused() {
    let (root, ..) = example();
    let with = |from: &[u8], to: &[u8]| {
        let valid = header(&[root]);
        let at = valid.windows(from.len()).position(|window| window == from).expect("there");
        let mut bytes = valid;
        bytes[at..at + to.len()].copy_from_slice(to);
        dag().import(&mut bytes.as_slice()).expect_err("another header")
    };
    assert!(matches!(with(b"version\x01", b"version\x02"), Error::Unsupported { found: 2, .. }));
    assert!(matches!(with(b"\xa2\x65roots", b"\xa1\x65roots"), Error::Invalid { .. }));

    let version_0 = [&[34 + 1, 0x12, 0x20][..], &[0; 32], b"x"].concat();
    let dag_pb = [&[36 + 1, 1, 0x70, 0x12, 0x20][..], &[0; 32], b"x"].concat();
    for block in [version_0, dag_pb] {
        let archive = [header(&[root]), block].concat();
        let refused = dag().import(&mut archive.as_slice()).expect_err("another kind of id");
        assert!(matches!(refused, Error::Unsupported { .. } | Error::Invalid { .. }), "{refused}");
    }
    let no_node = section(&Cid::of(Codec::DagCbor, &[0xa0]), &[0xa0]);
    let archive = [header(&[root]), no_node].concat();
    assert!(matches!(dag().import(&mut archive.as_slice()), Err(Error::Invalid { .. })));
}

#[test]
fn an_export_of_what_is_not_whole_fails() {
    let (root, _, archive) = example();
    let dag = dag();
    dag.import(&mut archive.as_slice()).expect("valid");
    dag.store().remove(&Cid::of(Codec::Raw, b"leaf")).expect("there");
    assert!(matches!(dag.export(&[root], &mut Vec::new()), Err(Error::NotFound { .. })));
}

proptest! {
    #[test]
    fn random_graphs_survive_the_way_through_an_archive(
        nodes in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..300), any::<[u16; 3]>()), 1..40),
    ) {
        let dag = dag();
        let mut ids: Vec<Cid> = Vec::new();
        for (data, links) in nodes {
            let targets = links.iter().filter(|link| usize::from(**link) % 41 < ids.len());
            let add = |node: Node, link: &u16| {
                node.with_link(link.to_string(), ids[usize::from(*link) % 41], 1)
            };
            let node = targets.fold(Node::new(data), add);
            ids.push(dag.add_node(&node).expect("small"));
        }
        let roots = [ids[ids.len() - 1], ids[0]];
        let (mut archive, mut again) = (Vec::new(), Vec::new());
        dag.export(&roots, &mut archive).expect("whole");
        let copy = Dag::new(MemoryStore::new());
        prop_assert_eq!(copy.import(&mut archive.as_slice()).expect("valid").roots, roots);
        copy.export(&roots, &mut again).expect("whole");
        prop_assert_eq!(again, archive);
        prop_assert_eq!(copy.reachable(&roots, 99).ok(), dag.reachable(&roots, 99).ok());
    }

    #[test]
    fn any_bytes_end_in_an_error_or_a_report(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (root, ..) = example();
        let _ = dag().import(&mut bytes.as_slice());
        let _ = dag().import(&mut [header(&[root]), bytes].concat().as_slice());
    }
}
