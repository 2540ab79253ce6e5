//! Public test vectors, where they are present: proofs, a whole log, signatures, a note.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_merkle::Result;
use cairn_merkle::hash::{Hash, leaf_hash};
use cairn_merkle::log::entries::{self, BundleBuilder};
use cairn_merkle::log::{
    MemTiles, TileId, TileReader, TileStore, TiledTree, TreeHead, consistency, inclusion, prove,
};
use cairn_merkle::note::{KeyName, Note, Policy, SignatureKind, Verifier, key};
use ed25519_dalek::VerifyingKey;
use serde_json::Value;

fn vectors(folder: &str) -> Option<PathBuf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");
    let path = Path::new(root).join(folder);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: the public vectors {folder} are not here");
    None
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("readable"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    paths.into_iter().flat_map(below).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("readable")).expect("JSON")
}

fn hash(value: &Value) -> Result<Hash> {
    Hash::from_slice(&STANDARD.decode(value.as_str().unwrap_or_default()).expect("base64"))
}

/// A root. Some vectors hold a few words in its place, equal or not; so do their hashes.
fn root(value: &Value) -> Hash {
    let text = value.as_str().unwrap_or_default();
    hash(value).unwrap_or_else(|_| leaf_hash(text.as_bytes()))
}

fn proof(value: &Value) -> Result<Vec<Hash>> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(hash).collect()
}

fn expect(path: &Path, vector: &Value, result: Result<()>) {
    let wrong = vector["wantErr"].as_bool().expect("a flag");
    assert_eq!(result.is_err(), wrong, "{}: {}: {result:?}", path.display(), vector["desc"]);
}

#[test]
fn public_inclusion_proofs_are_accepted_and_refused_as_they_say() {
    let Some(dir) = vectors("transparency-dev/testdata/inclusion") else { return };
    let paths = files_below(&dir);
    assert_eq!(paths.len(), 98);
    for path in paths {
        let vector = json(&path);
        let number = |name: &str| vector[name].as_u64().expect("a number");
        let check = || {
            let (index, size) = (number("leafIdx"), number("treeSize"));
            let (leaf, root) = (hash(&vector["leafHash"])?, hash(&vector["root"])?);
            inclusion::verify(index, size, &leaf, &proof(&vector["proof"])?, &root)
        };
        expect(&path, &vector, check());
    }
}

#[test]
fn public_consistency_proofs_are_accepted_and_refused_as_they_say() {
    let Some(dir) = vectors("transparency-dev/testdata/consistency") else { return };
    let paths = files_below(&dir);
    assert_eq!(paths.len(), 98);
    for path in paths {
        let vector = json(&path);
        let head = |size: &str, name: &str| {
            let size = vector[size].as_u64().expect("a number");
            TreeHead { size, root: root(&vector[name]) }
        };
        let check = |verify: fn(&TreeHead, &TreeHead, &[Hash]) -> Result<()>| {
            verify(&head("size1", "root1"), &head("size2", "root2"), &proof(&vector["proof"])?)
        };
        expect(&path, &vector, check(consistency::verify));
        // As a witness checks it, only the old size 0 is another matter.
        if vector["size1"] != 0 {
            expect(&path, &vector, check(consistency::verify_as_witness));
        }
    }
}

const LOG_KEY: &str =
    "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";

#[test]
fn a_log_of_another_program_is_rebuilt_byte_for_byte() -> Result<()> {
    let Some(dir) = vectors("tessera-log/testdata/log") else { return Ok(()) };
    let read = |path: &str| fs::read(dir.join(path)).expect("readable");
    let policy = Policy::new("example.com/log/testdata", vec![LOG_KEY.parse()?]);
    let bundle = entries::parse(&read("tile/entries/000.p/15").into(), 15)?;

    let tiles = std::sync::Arc::new(MemTiles::new());
    let (mut tree, mut builder) = (TiledTree::new(tiles.clone()), BundleBuilder::new());
    let mut reader = TileReader::open(tiles.clone(), TreeHead::empty())?;
    for size in 0..=15_u16 {
        let note = Note::parse(&read(&format!("checkpoint.{size}")))?;
        let signed = *policy.check(&note)?.checkpoint.head();
        let head = tree.publish()?;
        assert_eq!(head, signed);
        reader.advance(signed)?;
        if size > 0 {
            let tile = TileId::hashes(0, 0, size)?;
            assert_eq!(tiles.read_tile(tile)?.expect("published"), read(&tile.to_string()));
            let tile = TileId::entries(0, size)?;
            assert_eq!(builder.as_bytes(), read(&tile.to_string()));
        }
        for index in 0..u64::from(size) {
            let proof = prove::inclusion(&reader, index, size.into())?;
            let leaf = leaf_hash(&bundle[index as usize]);
            inclusion::verify(index, size.into(), &leaf, &proof, &signed.root)?;
        }
        if let Some(entry) = bundle.get(usize::from(size)) {
            tree.push(leaf_hash(entry))?;
            builder.push(entry)?;
        }
    }
    assert_eq!(read("checkpoint"), read("checkpoint.15"));
    Ok(())
}

#[test]
fn public_edge_cases_of_signatures_are_refused_where_strict_rules_refuse_them() {
    let Some(path) = vectors("cctv-ed25519/ed25519vectors.json") else { return };
    let unhex = |value: &Value| {
        let digits = value.as_str().expect("text").as_bytes();
        let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
        pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect::<Vec<u8>>()
    };
    let (mut accepted, mut refused) = (0, 0);
    for vector in json(&path).as_array().expect("a list") {
        let flags: Vec<&str> = vector["flags"]
            .as_array()
            .map(|flags| flags.iter().map(|flag| flag.as_str().expect("text")).collect())
            .unwrap_or_default();
        let public: [u8; 32] = unhex(&vector["key"]).try_into().expect("32 bytes");
        let (signature, text) = (unhex(&vector["sig"]), vector["msg"].as_str().expect("text"));
        let name = KeyName::new("k").expect("a good name");
        let good = Verifier::new(name, SignatureKind::Ed25519, &public)
            .and_then(|verifier| verifier.verify(text, &signature))
            .is_ok();
        let raw = VerifyingKey::from_bytes(&public)
            .is_ok_and(|key| key::verify_ed25519(&key, text.as_bytes(), &signature));
        assert!(raw || !good, "a verifier is at least as strict");
        let strict = |flag: &&str| {
            flag.starts_with("non_canonical_") || ["low_order_A", "low_order_R"].contains(flag)
        };
        if flags.iter().any(strict) {
            assert!(!good && !raw, "{}: {flags:?}", vector["number"]);
        }
        if flags.is_empty() {
            assert!(good, "{}", vector["number"]);
        }
        if good { accepted += 1 } else { refused += 1 }
    }
    assert_eq!(accepted + refused, 914);
    println!("accepted {accepted}, refused {refused}");
}

#[test]
fn the_example_of_the_specification_is_signed_by_its_key() -> Result<()> {
    let Some(path) = vectors("c2sp-note-example.txt") else { return Ok(()) };
    let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let bytes = fs::read(path).expect("readable");
    let note = Note::parse(&bytes)?;
    assert_eq!(note.verify(&[key.parse()?])?.len(), 1);
    assert_eq!(note.to_string().into_bytes(), bytes);
    Ok(())
}
