//! Programs that others wrote check what the engine hands out, from the files alone.

use std::sync::Arc;

use crate::proofs::{fill, open};
use cairn_merkle::log::{TileId, TileStore, VfsTiles, entries};
use cairn_merkle::proof_file::ProofFile;
use cairn_types::Lsn;
use cairn_vfs::{MemVfs, OpenMode, Vfs};
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::tile::{Tile, TileHashReader, TileReader};
use tlog_tiles::{checkpoint::Checkpoint, tlog};

/// The exported directory as the other program asks for it.
struct Served(VfsTiles);

impl TileReader for Served {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        let read = |tile: &Tile| {
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            let name: TileId = path.parse().expect("the same names");
            self.0.read_tile(name).expect("reads").expect("only tiles of this size").to_vec()
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

#[test]
fn exported_tiles_and_proof_files_satisfy_other_programs() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    fill(&engine, 700);
    let proofs = engine.proofs().expect("opens");
    let files = MemVfs::new();
    let exported = proofs.export_tiles(Arc::new(files.clone())).expect("exports");
    assert_eq!(exported.missing_bundle_count, 0);

    // The signed checkpoint in the directory.
    let file = files.open("checkpoint", OpenMode::Read).expect("there");
    let mut bytes = vec![0; usize::try_from(file.len().expect("len")).expect("small")];
    file.read_exact_at(0, &mut bytes).expect("reads");
    let vkey = proofs.verifier().expect("key").to_string();
    let known = StandardVerifier::new(&vkey).expect("a key");
    let known = VerifierList::new(vec![Box::new(known)]);
    let note = Note::from_bytes(&bytes).expect("a note");
    assert_eq!(note.verify(&known).expect("signed").0.len(), 1);
    let checkpoint = Checkpoint::from_bytes(note.text()).expect("a checkpoint");
    let (size, root) = (checkpoint.size(), *checkpoint.hash());
    assert_eq!(size, exported.head.size);

    // Every record, from tiles and bundles of entries.
    let tiles = VfsTiles::new(Arc::new(files), "");
    let served = Served(tiles.clone());
    let reader = TileHashReader::new(size, root, &served);
    for index in 0..size {
        let width = u16::try_from((size - (index & !255)).min(256)).expect("small");
        let name = TileId::entries(index / 256, width).expect("a name");
        let bundle = tiles.read_tile(name).expect("reads").expect("there");
        let leaf = &entries::parse(&bundle, width).expect("whole")[(index % 256) as usize];
        if index % 37 == 0 {
            let proof = tlog::prove_record(size, index, &reader).expect("in range");
            let hash = tlog::record_hash(leaf);
            tlog::check_record(&proof, size, root, index, hash).expect("it is there");
        }
        let record = engine.log().read(Lsn::new(index)).expect("reads");
        assert_eq!(tlog::record_hash(leaf).0, *record.leaf.as_bytes());
    }

    // Proof files, by the rules of their format: our leaf, their arithmetic and signatures.
    for lsn in [0, 255, 300, size - 1] {
        let shown = proofs.prove_lsn(Lsn::new(lsn)).expect("proves");
        let file = ProofFile::parse(shown.file.to_string().as_bytes()).expect("parses");
        let note = Note::from_bytes(file.checkpoint().to_string().as_bytes()).expect("a note");
        note.verify(&known).expect("signed");
        let head = Checkpoint::from_bytes(note.text()).expect("a checkpoint");
        let path: Vec<_> = file.proof().iter().map(|hash| tlog::Hash(*hash.as_bytes())).collect();
        let hash = tlog::record_hash(&shown.leaf);
        tlog::check_record(&path, head.size(), *head.hash(), lsn, hash).expect("it is there");
    }
}
