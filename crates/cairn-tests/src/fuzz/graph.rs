//! Fuzz bodies for graphs: keys, records, chunks, definitions, proofs and imported files. Each
//! must have one form: what is read is written to the same bytes.

use cairn_graph::chunk::{Side, decode_block, decode_chunk, encode_chunk};
use cairn_graph::csv::CsvReader;
use cairn_graph::index::Definitions;
use cairn_graph::proof::EdgeProof;
use cairn_graph::record::decode_edge;
use cairn_graph::{
    Adjacent, BatchId, ChunkKey, EdgeId, Label, Place, StorageKey, Vertex, VertexId,
};

/// Bytes as a key of a graph.
pub fn graph_key(bytes: &[u8]) {
    if let Ok(key) = StorageKey::decode(bytes) {
        assert_eq!(key.encode(), bytes, "a key has one form");
    }
}

/// Bytes as every kind of value of a graph, as a proof, and as an imported file.
pub fn graph_value(bytes: &[u8]) {
    let id = VertexId::from_bytes([1; 16]);
    if let Ok(vertex) = Vertex::decode(id, bytes) {
        assert_eq!(vertex.encode().expect("it was within the limits"), bytes);
    }
    if let Ok(place) = Place::decode(bytes) {
        assert_eq!(place.encode(), bytes);
    }
    if let Ok(definitions) = Definitions::decode(bytes) {
        assert_eq!(definitions.encode(), bytes);
    }
    let shared = cairn_types::Bytes::copy_from_slice(bytes);
    for side in [Side::Out, Side::In] {
        if let Ok(entries) = decode_chunk(side, &shared) {
            assert_eq!(encode_chunk(side, &entries), bytes);
        }
    }
    let _props = decode_edge(bytes);
    for index in [0, 1, 127] {
        let _entry = decode_block(bytes, index);
    }
    if let Ok(proof) = EdgeProof::parse(bytes) {
        assert_eq!(proof.to_string().as_bytes(), bytes);
    }
    let mut rows = CsvReader::new(bytes);
    while let Ok(Some(row)) = rows.next_row() {
        assert!(!row.is_empty(), "a row has a field");
        (0..=row.len()).for_each(|index| drop(row.field(index)));
    }
}

/// Valid keys and values to begin with.
pub fn valid_graph() -> Vec<Vec<u8>> {
    let (near, far) = (VertexId::from_bytes([1; 16]), VertexId::from_bytes([2; 16]));
    let label = Label::new("a\0b").expect("a label");
    let (edge, batch) = (EdgeId::from_bytes([3; 16]), BatchId::from_bytes([4; 12]));
    let chunk = ChunkKey { near, label: label.clone(), batch, number: 7 };
    let keys = [
        StorageKey::Vertex(near),
        StorageKey::Out(Adjacent { near, label: label.clone(), far, edge }),
        StorageKey::InChunk(chunk),
        StorageKey::Block { batch, number: 9 },
        StorageKey::Label { label: label.clone(), vertex: far },
        StorageKey::Property { index: 1, value: b"\x05text\0\x01".to_vec(), id: [5; 16] },
    ];
    let mut valid: Vec<Vec<u8>> = keys.iter().map(StorageKey::encode).collect();
    let vertex = Vertex::new(near).prop("n", 1).prop("t", "text").prop("f", 0.5);
    valid.push(vertex.encode().expect("within the limits"));
    valid.push(Place { src: near, dst: far, label: label.clone() }.encode());
    let record = cairn_types::Bytes::from_static(&[1, 0, 0]);
    let entry = |number| cairn_graph::chunk::Entry { number, far, record: record.clone() };
    valid.push(encode_chunk(Side::Out, &[entry(1), entry(2)]));
    let packed = cairn_graph::chunk::Packed { src: near, out_chunk: 1, in_chunk: 2 };
    valid.push(cairn_graph::chunk::encode_block(&label, &[packed, packed]));
    valid.push(b"id,name\r\n1,\"a \"\"b\"\", c\"\n".to_vec());
    valid
}
