//! Nodes, roots, walks and what is found wrong.

use bytes::Bytes;
use cairn_merkle::dag::{
    Cid, Codec, Dag, Error, Fault, MAX_BLOCK_LEN, MAX_LINK_NAME_LEN, MAX_LINKS, MemoryStore, Node,
    NodeStore,
};
use proptest::prelude::*;

fn dag() -> Dag<MemoryStore> {
    Dag::new(MemoryStore::new())
}

/// `{"data": "a", "links": [{"cid": raw "", "name": "n", "size": 500}]}`, by hand.
fn hand_made() -> Vec<u8> {
    let mut bytes = vec![0xa2, 0x64, b'd', b'a', b't', b'a', 0x41, b'a', 0x65];
    bytes.extend_from_slice(b"links\x81\xa3\x63cid\xd8\x2a\x58\x25\0\x01\x55\x12\x20");
    bytes.extend_from_slice(Cid::of(Codec::Raw, b"").digest());
    bytes.extend_from_slice(b"\x64name\x61n\x64size\x19\x01\xf4");
    bytes
}

#[test]
fn a_node_has_the_bytes_that_dag_cbor_gives_it() {
    let node = Node::new("a").with_link("n", Cid::of(Codec::Raw, b""), 500);
    assert_eq!(node.encode().expect("small"), hand_made());
    assert_eq!(Node::decode(&hand_made().into()).expect("valid"), node);
    assert_eq!(Node::new("").encode().expect("small"), b"\xa2\x64data\x40\x65links\x80");
}

#[test]
fn values_in_another_form_are_no_nodes() {
    let long: &[(&str, &[u8], &[u8])] = &[
        ("a longer head of the map", b"\xa2\x64data", b"\xb8\x02\x64data"),
        ("a longer head of the bytes", b"\x41a", b"\x58\x01a"),
        ("an indefinite array", b"links\x81", b"links\x9f"),
        ("a longer number", b"\x19\x01\xf4", b"\x1a\0\0\x01\xf4"),
        ("a number that fits one byte", b"\x19\x01\xf4", b"\x19\0\xf4"),
        ("a negative number", b"\x19\x01\xf4", b"\x39\x01\xf4"),
        ("a text for bytes", b"\x41a", b"\x61a"),
        ("another tag", b"\xd8\x2a", b"\xd8\x2b"),
        ("an id without its zero", b"\x58\x25\0\x01", b"\x58\x25\x01\x01"),
        ("another key", b"\x64name", b"\x64nome"),
        ("one key less", b"\x81\xa3", b"\x81\xa2"),
        ("a name that is not UTF-8", b"\x61n", b"\x61\xff"),
        ("more links than there are", b"links\x81", b"links\x82"),
        ("a great many links", b"links\x81", b"links\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("a great many bytes", b"\x41a", b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff"),
    ];
    for (name, from, to) in long {
        let valid = hand_made();
        let at = valid.windows(from.len()).position(|window| window == *from).expect("there");
        let bytes = [&valid[..at], to, &valid[at + from.len()..]].concat();
        assert!(Node::decode(&bytes.into()).is_err(), "{name}");
    }
    assert!(Node::decode(&[hand_made(), vec![0]].concat().into()).is_err());
    for len in 0..hand_made().len() {
        assert!(Node::decode(&hand_made()[..len].to_vec().into()).is_err(), "{len} bytes");
    }
}

#[test]
fn limits_hold_when_writing_and_reading() {
    let cid = Cid::of(Codec::Raw, b"");
    let long_name = Node::new("").with_link("n".repeat(MAX_LINK_NAME_LEN + 1), cid, 0);
    let mut many = Node::new("");
    (0..=MAX_LINKS).for_each(|_| many = std::mem::take(&mut many).with_link("", cid, 0));
    for node in [Node::new(vec![0; MAX_BLOCK_LEN]), long_name, many] {
        assert!(matches!(node.encode(), Err(Error::TooLarge { .. })));
    }
    assert!(matches!(dag().add_raw(vec![0; MAX_BLOCK_LEN + 1]), Err(Error::TooLarge { .. })));
    let block = Bytes::from(vec![0xa2; MAX_BLOCK_LEN + 1]);
    assert!(matches!(Node::decode(&block), Err(Error::TooLarge { .. })));
}

#[test]
fn a_node_is_added_only_when_its_links_lead_somewhere() {
    let dag = dag();
    let missing = Cid::of(Codec::Raw, b"missing");
    let refused = dag.add_node(&Node::new("x").with_link("l", missing, 0));
    assert!(matches!(refused, Err(Error::NotFound { cid }) if cid == missing));
    assert!(dag.store().is_empty());
    assert!(matches!(dag.set_root("r", Some(&missing)), Err(Error::NotFound { .. })));
    assert!(matches!(dag.get_node(&missing), Err(Error::NotFound { .. })));
}

#[test]
fn roots_are_named_anew_and_taken_away_and_one_hash_covers_them() {
    let dag = dag();
    let none = dag.root_hash().expect("no roots");
    let (one, two) = (dag.add_raw("1").expect("small"), dag.add_raw("2").expect("small"));
    dag.set_root("b", Some(&one)).expect("there");
    dag.set_root("a", Some(&two)).expect("there");
    let both = dag.root_hash().expect("two roots");
    assert_eq!(dag.root("b").expect("memory"), Some(one));
    assert_eq!(dag.roots().expect("memory").into_keys().collect::<Vec<_>>(), ["a", "b"]);
    dag.set_root("b", Some(&two)).expect("there");
    assert_ne!(dag.root_hash().expect("two roots"), both);
    dag.set_root("b", Some(&one)).expect("there");
    assert_eq!(dag.root_hash().expect("two roots"), both);
    dag.set_root("a", None).expect("there");
    dag.set_root("b", None).expect("there");
    assert_eq!(dag.root_hash().expect("no roots"), none);
    assert!(dag.set_root("", Some(&one)).is_err());
    assert!(dag.set_root(&"n".repeat(250), Some(&one)).is_err());
}

/// root -> left, right; both -> leaf.
fn diamond(dag: &Dag<MemoryStore>) -> [Cid; 4] {
    let leaf = dag.add_raw("leaf").expect("small");
    let left = dag.add_node(&Node::new("left").with_link("l", leaf, 4)).expect("small");
    let right = dag.add_node(&Node::new("right").with_link("l", leaf, 4)).expect("small");
    let root = Node::new("root").with_link("a", left, 1).with_link("b", right, 1);
    [dag.add_node(&root).expect("small"), left, leaf, right]
}

#[test]
fn what_can_be_reached_comes_once_and_parents_first() {
    let dag = dag();
    let [root, left, leaf, right] = diamond(&dag);
    dag.add_raw("not reached").expect("small");
    assert_eq!(dag.reachable(&[root], 4).expect("whole"), [root, left, leaf, right]);
    assert_eq!(dag.reachable(&[leaf, root], 4).expect("whole"), [leaf, root, left, right]);
    assert!(matches!(dag.reachable(&[root], 3), Err(Error::TooLarge { limit: 3, .. })));
}

#[test]
fn missing_and_altered_nodes_are_named() {
    let dag = dag();
    let [root, left, leaf, right] = diamond(&dag);
    let whole = dag.verify_integrity(&[root], 100).expect("memory");
    assert!(whole.is_whole());
    assert_eq!(whole.checked, 4);
    assert!(!dag.verify_integrity(&[root], 3).expect("memory").is_whole(), "cut short");

    let kept = dag.store().remove(&leaf).expect("there");
    let report = dag.verify_integrity(&[root], 100).expect("memory");
    assert_eq!(report.faults, [Fault::Missing { cid: leaf, parent: Some(left) }]);
    dag.store().put(&leaf, kept).expect("memory");

    let other = Node::new("other").encode().expect("small");
    dag.store().put(&right, other.clone().into()).expect("memory");
    let report = dag.verify_integrity(&[root], 100).expect("memory");
    let found = Cid::of(Codec::DagCbor, &other);
    assert_eq!(report.faults, [Fault::Altered { cid: right, found }]);
    assert!(matches!(dag.get_node(&right), Err(Error::Altered { .. })), "never handed out");
    assert!(dag.reachable(&[root], 100).is_err());

    let no_node = Cid::of(Codec::DagCbor, &[0xa0]);
    dag.store().put(&no_node, Bytes::from_static(&[0xa0])).expect("memory");
    let report = dag.verify_integrity(&[no_node], 100).expect("memory");
    assert_eq!(report.faults, [Fault::NotANode { cid: no_node }]);
}

#[test]
fn long_chains_need_no_stack() {
    let dag = dag();
    let mut last = dag.add_raw("end").expect("small");
    for _ in 0..50_000 {
        last = dag.add_node(&Node::new("").with_link("next", last, 0)).expect("small");
    }
    assert_eq!(dag.reachable(&[last], 60_000).expect("whole").len(), 50_001);
    assert!(dag.verify_integrity(&[last], 60_000).expect("memory").is_whole());
}

proptest! {
    #[test]
    fn nodes_survive_a_round_trip(
        data: Vec<u8>,
        links in proptest::collection::vec((".{0,40}", any::<[u8; 4]>(), any::<u64>()), 0..30),
    ) {
        let add = |node: Node, (name, target, size): (String, [u8; 4], u64)| {
            node.with_link(name, Cid::of(Codec::DagCbor, &target), size)
        };
        let node = links.into_iter().fold(Node::new(data), add);
        let block = Bytes::from(node.encode().expect("small"));
        prop_assert_eq!(Node::decode(&block).expect("as written"), node);
    }

    #[test]
    fn any_bytes_are_refused_or_written_back_alike(
        at in 0_usize..100,
        bytes in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut block = hand_made();
        let at = at.min(block.len() - 1);
        let end = (at + bytes.len()).min(block.len());
        block.splice(at..end, bytes);
        if let Ok(node) = Node::decode(&block.clone().into()) {
            prop_assert_eq!(node.encode().expect("small"), block);
        }
    }
}
