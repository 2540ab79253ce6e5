//! Keys and records: one form, in order, safe against whatever is read.

use cairn_graph::chunk::{
    Entry, Packed, Side, decode_block, decode_chunk, encode_block, encode_chunk,
};
use cairn_graph::index::Definitions;
use cairn_graph::{
    Adjacent, BatchId, ChunkKey, EdgeId, Label, Place, StorageKey, Value, Vertex, VertexId,
};
use cairndb::types::Bytes;
use proptest::prelude::*;

fn label() -> impl Strategy<Value = Label> {
    prop_oneof![
        Just("\0".to_owned()),
        Just("\0\u{1}".to_owned()),
        "\\PC{1,20}",
        "[\0\u{1}\u{ff}a]{1,9}"
    ]
    .prop_filter_map("a label", |text| Label::new(&text).ok())
}

fn vertex_id() -> impl Strategy<Value = VertexId> {
    any::<[u8; 16]>().prop_map(VertexId::from_bytes)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("a number", |n| !n.is_nan()).prop_map(|n| Value::Float(n + 0.0)),
        "[\0\u{1}\u{ff}a-c]{0,12}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Value::Bytes),
        prop::collection::vec(Just(7_u8), 500..530).prop_map(Value::Bytes),
    ]
}

proptest! {
    #[test]
    fn keys_are_read_back_and_ordered_as_their_parts(
        a in (vertex_id(), label(), vertex_id()), b in (vertex_id(), label(), vertex_id()),
    ) {
        let key = |(near, label, far): (VertexId, Label, VertexId)| {
            StorageKey::Out(Adjacent { near, label, far, edge: EdgeId::from_bytes([9; 16]) })
        };
        let (x, y) = (key(a.clone()), key(b.clone()));
        prop_assert_eq!(StorageKey::decode(&x.encode()).expect("reads"), x.clone());
        prop_assert_eq!(x.encode().cmp(&y.encode()), a.cmp(&b));
        let chunk = StorageKey::InChunk(ChunkKey {
            near: a.0, label: a.1, batch: BatchId::from_bytes([3; 12]), number: 5,
        });
        prop_assert_eq!(StorageKey::decode(&chunk.encode()).expect("reads"), chunk);
    }

    #[test]
    fn what_is_read_has_one_form_and_damage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(key) = StorageKey::decode(&bytes) {
            prop_assert_eq!(key.encode(), bytes.clone());
        }
        let id = VertexId::from_bytes([0; 16]);
        for first in [None, Some(1)] {
            let record: Vec<u8> = first.into_iter().chain(bytes.iter().copied()).collect();
            if let Ok(vertex) = Vertex::decode(id, &record) {
                prop_assert_eq!(vertex.encode().expect("encodes"), record.clone());
            }
            if let Ok(place) = Place::decode(&record) {
                prop_assert_eq!(place.encode(), record.clone());
            }
            if let Ok(definitions) = Definitions::decode(&record) {
                prop_assert_eq!(definitions.encode(), record.clone());
            }
            let shared = Bytes::from(record.clone());
            for side in [Side::Out, Side::In] {
                if let Ok(entries) = decode_chunk(side, &shared) {
                    prop_assert_eq!(encode_chunk(side, &entries), record.clone());
                }
            }
            let _no_panic = decode_block(&record, 3);
        }
    }

    #[test]
    fn an_index_is_ordered_as_the_values_are(a in value(), b in value()) {
        let key = |value: &Value| {
            let vertex = Vertex::new(VertexId::from_bytes([1; 16])).prop("n", value.clone());
            let record = vertex.encode().expect("encodes");
            let again = Vertex::decode(vertex.id, &record).expect("reads");
            again.props.get("n").cloned().expect("there")
        };
        prop_assert_eq!(key(&a), a.clone());
        prop_assert_eq!(a.order(&b).is_eq(), a == b);
        prop_assert_eq!(a.order(&b), b.order(&a).reverse());
    }
}

#[test]
fn every_bit_of_a_chunk_is_checked_or_means_something() {
    let entry = |number| Entry {
        number,
        far: VertexId::from_bytes([2; 16]),
        record: Bytes::from_static(&[1, 0, 0]),
    };
    let chunk = encode_chunk(Side::Out, &[entry(1), entry(4)]);
    for bit in 0..chunk.len() * 8 {
        let mut other = chunk.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        if let Ok(entries) = decode_chunk(Side::Out, &other.clone().into()) {
            assert_eq!(encode_chunk(Side::Out, &entries), other);
        }
    }
    for len in 0..chunk.len() {
        assert!(decode_chunk(Side::Out, &Bytes::copy_from_slice(&chunk[..len])).is_err());
    }
}

#[test]
fn a_block_tells_each_edge_and_nothing_beyond_its_end() {
    let label = Label::new("e").expect("label");
    let packed =
        |chunk| Packed { src: VertexId::from_bytes([1; 16]), out_chunk: chunk, in_chunk: 2 };
    let block = encode_block(&label, &[packed(7), packed(8)]);
    assert_eq!(decode_block(&block, 1).expect("reads"), Some((label, packed(8))));
    assert_eq!(decode_block(&block, 2).expect("reads"), None);
    assert!(decode_block(&block[..block.len() - 1], 0).is_err());
}

#[test]
fn limits_are_refused_before_anything_is_written() {
    use cairn_graph::{Error, limits};
    let id = VertexId::from_bytes([1; 16]);
    assert!(Label::new("").is_err());
    assert!(Label::new(&"x".repeat(limits::LABEL_LEN_MAX + 1)).is_err());
    let too_long = "x".repeat(limits::VALUE_LEN_MAX + 1);
    for vertex in [
        Vertex::new(id).prop("", 1),
        Vertex::new(id).prop("x".repeat(256), 1),
        Vertex::new(id).prop("n", f64::NAN),
        Vertex::new(id).prop("n", too_long),
        (0..=limits::PROPERTIES_MAX).fold(Vertex::new(id), |v, n| v.prop(n.to_string(), 1)),
    ] {
        assert!(matches!(vertex.encode(), Err(Error::Limit { .. } | Error::Invalid { .. })));
    }
}

/// Bytes that were written once must be read for ever: these are never made anew.
#[test]
fn the_bytes_of_the_first_version_stay_what_they_are() {
    let (near, far) = (VertexId::from_bytes([1; 16]), VertexId::from_bytes([2; 16]));
    let label = Label::new("a").expect("label");
    let vertex = Vertex::new(near).label("a").expect("label").prop("n", 7);
    let golden = [1, 1, 1, b'a', 1, 0, 1, b'n', 3, 7, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(vertex.encode().expect("encodes"), golden);
    let edge = EdgeId::from_bytes([3; 16]);
    let key = StorageKey::Out(Adjacent { near, label: label.clone(), far, edge });
    let golden = [&[0x11][..], &[1; 16], b"a\0\x01\0", &[2; 16], &[3; 16]].concat();
    assert_eq!(key.encode(), golden);
    let batch = BatchId::from_bytes([4; 12]);
    let key = StorageKey::InChunk(ChunkKey { near, label: label.clone(), batch, number: 258 });
    let golden = [&[0x12][..], &[1; 16], b"a\0\x01\x01", &[4; 12], &[0, 0, 1, 2]].concat();
    assert_eq!(key.encode(), golden);
    let record = Bytes::from_static(&[1, 0, 0]);
    let chunk = encode_chunk(Side::Out, &[Entry { number: 258, far, record }]);
    let golden = [&[1, 1, 0, 2, 1, 0, 0][..], &[2; 16], &[3, 0, 0, 0, 1, 0, 0]].concat();
    assert_eq!(chunk, golden);
    let block = encode_block(&label, &[Packed { src: near, out_chunk: 5, in_chunk: 6 }]);
    let golden = [&[1, 1, b'a', 1, 0][..], &[1; 16], &[5, 0, 0, 0, 6, 0, 0, 0]].concat();
    assert_eq!(block, golden);
    let place = Place { src: near, dst: far, label }.encode();
    assert_eq!(place, [&[1][..], &[1; 16], &[2; 16], &[1, b'a']].concat());
}

#[test]
fn numbers_are_ordered_as_numbers() {
    let ints = [i64::MIN, -256, -1, 0, 1, 255, i64::MAX].map(Value::Int);
    let floats = [f64::NEG_INFINITY, -1.5, -f64::MIN_POSITIVE, 0.0, 1e-9, 2.0, f64::INFINITY];
    for values in [ints, floats.map(Value::Float)] {
        assert!(values.windows(2).all(|pair| pair[0].order(&pair[1]).is_lt()));
    }
    assert!(Value::Int(i64::MAX).order(&Value::Float(f64::NEG_INFINITY)).is_lt());
    assert!(Value::Float(0.0).order(&Value::Float(-0.0)).is_eq());
}
