//! Programs that others wrote from the same documents: they must agree in every byte.

use std::sync::Arc;

use cairn_merkle::Result;
use cairn_merkle::hash::Hash;
use cairn_merkle::log::{
    Leaves, MemTiles, TileId, TileReader, TileStore, Tree, TreeHead, consistency, inclusion, prove,
};
use cairn_merkle::note::{Checkpoint, Note, Policy, SignatureKind, Signer, Verifier};
use cairn_vfs::SeededRng;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use signed_note::{Note as TheirNote, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::tile::{Tile, TileHashReader, TileReader as TheirTileReader};
use tlog_tiles::tlog;

use crate::support::{LARGE, entry, leaf, signer, tiled};

fn ours(hash: &tlog::Hash) -> Hash {
    Hash::new(hash.0)
}

fn theirs(hash: &Hash) -> tlog::Hash {
    tlog::Hash(*hash.as_bytes())
}

/// All nodes in the numbering of the other program.
#[derive(Default)]
struct Stored(Vec<tlog::Hash>);

impl tlog::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog_tiles::tlog::Error> {
        Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
    }
}

/// Our tiles as the other program asks for them.
struct Served(Arc<MemTiles>);

impl TheirTileReader for Served {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::tlog::Error> {
        let read = |tile: &Tile| {
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            let name: TileId = path.parse().expect("the same names");
            assert_eq!(name.to_string(), path);
            self.0.read_tile(name).expect("memory").expect("only tiles of this size").to_vec()
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

#[test]
fn roots_and_proofs_of_another_program_are_ours() -> Result<()> {
    let (mut stored, mut tree) = (Stored::default(), Tree::new());
    let rng = SeededRng::new(2);
    let mut leaves = Vec::new();
    for n in 0..LARGE {
        let more = tlog::stored_hashes(n, &entry(n), &stored).expect("in order");
        stored.0.extend(more);
        leaves.push(leaf(n));
        tree.push(leaf(n))?;
        let size = n + 1;
        if !(size < 100 || size == LARGE || rng.below(LARGE / 50) == 0) {
            continue;
        }
        let head = tree.head();
        assert_eq!(ours(&tlog::tree_hash(size, &stored).expect("in range")), head.root);
        let (index, old) = (rng.below(size), 1 + rng.below(size));
        let their_proof = tlog::prove_record(size, index, &stored).expect("in range");
        let proof: Vec<Hash> = their_proof.iter().map(ours).collect();
        inclusion::verify(index, size, &leaf(index), &proof, &head.root)?;
        let their_proof = tlog::prove_tree(size, old, &stored).expect("in range");
        let grown: Vec<Hash> = their_proof.iter().map(ours).collect();
        let old_root = tlog::tree_hash(old, &stored).expect("in range");
        consistency::verify(&TreeHead { size: old, root: ours(&old_root) }, &head, &grown)?;
        if size < 3_000 {
            assert_eq!(proof, prove::inclusion(&Leaves(&leaves), index, size)?);
            assert_eq!(grown, prove::consistency(&Leaves(&leaves), old, size)?);
        }
    }
    Ok(())
}

#[test]
fn another_program_proves_from_our_tiles_and_checks_our_proofs() -> Result<()> {
    let rng = SeededRng::new(3);
    for size in [1, 2, 255, 256, 257, 600, LARGE] {
        let (tiles, head) = tiled(size);
        let reader = TileReader::open(tiles.clone(), head)?;
        let served = Served(tiles);
        let their_reader = TileHashReader::new(size, theirs(&head.root), &served);
        for _ in 0..30 {
            let (index, old) = (rng.below(size), 1 + rng.below(size));
            let their_proof = tlog::prove_record(size, index, &their_reader).expect("in range");
            let proof = prove::inclusion(&reader, index, size)?;
            assert_eq!(proof, their_proof.iter().map(ours).collect::<Vec<_>>());
            let (root, leaf) = (theirs(&head.root), theirs(&leaf(index)));
            tlog::check_record(&their_proof, size, root, index, leaf).expect("it is there");
            let their_proof = tlog::prove_tree(size, old, &their_reader).expect("in range");
            let grown = prove::consistency(&reader, old, size)?;
            assert_eq!(grown, their_proof.iter().map(ours).collect::<Vec<_>>());
            let old_root = theirs(&prove::root(&reader, old)?);
            tlog::check_tree(&their_proof, size, root, old, old_root).expect("it grew");
        }
    }
    Ok(())
}

#[test]
fn a_third_program_agrees_on_roots_and_proofs() -> Result<()> {
    let size = LARGE / 10;
    let (mut mem, mut all, mut tree) =
        (MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new(), vec![], Tree::new());
    for n in 0..size {
        mem.push(entry(n));
        all.push(leaf(n));
        tree.push(leaf(n))?;
        if n > 300 && n + 1 < size {
            continue;
        }
        assert_eq!(mem.root().as_bytes().as_slice(), tree.root().as_bytes());
        let index = n / 3;
        let proof = prove::inclusion(&Leaves(&all), index, n + 1)?;
        let flat: Vec<u8> = proof.iter().flat_map(|hash| *hash.as_bytes()).collect();
        assert_eq!(mem.prove_inclusion(index as usize).as_bytes(), flat);
        if n > 0 {
            let old = 1 + n / 2;
            let grown = prove::consistency(&Leaves(&all), old, n + 1)?;
            let flat: Vec<u8> = grown.iter().flat_map(|hash| *hash.as_bytes()).collect();
            assert_eq!(mem.prove_consistency((n + 1 - old) as usize).as_bytes(), flat, "{old} {n}");
        }
    }
    Ok(())
}

#[test]
fn another_program_reads_our_keys_and_notes_and_we_read_its() -> Result<()> {
    for seed in 0..20 {
        let ours = signer("example.com/log", SignatureKind::Ed25519, seed);
        let their_signer = StandardSigner::new(&ours.to_secret_text()).expect("the same form");
        let public = ours.verifier().to_string();
        let their_verifier = || StandardVerifier::new(&public).expect("the same form");
        let known = VerifierList::new(vec![Box::new(their_verifier())]);

        let head = TreeHead { size: seed, root: leaf(seed) };
        let head = if seed == 0 { TreeHead::empty() } else { head };
        let checkpoint = Checkpoint::new("example.com/log", head)?.with_extension("more")?;
        let note = checkpoint.sign(&ours)?;
        let their_note = TheirNote::from_bytes(note.to_string().as_bytes()).expect("a note");
        assert_eq!(their_note.verify(&known).expect("signed").0.len(), 1);
        assert_eq!(their_note.to_bytes(), note.to_string().into_bytes());

        let mut their_note = TheirNote::new(note.text().as_bytes(), &[]).expect("a text");
        their_note.add_sigs(&[&their_signer]).expect("fits");
        assert_eq!(
            their_note.to_bytes(),
            note.to_string().into_bytes(),
            "signing is deterministic"
        );
        let policy = Policy::new("example.com/log", vec![public.parse::<Verifier>()?]);
        assert_eq!(policy.check(&Note::parse(&their_note.to_bytes())?)?.checkpoint, checkpoint);

        let theirs = tlog_tiles::checkpoint::Checkpoint::from_bytes(note.text().as_bytes());
        let theirs = theirs.expect("a checkpoint");
        assert_eq!((theirs.size(), theirs.hash().0), (head.size, *head.root.as_bytes()));
        assert_eq!(theirs.to_bytes(), note.text().as_bytes());
        Signer::parse(&ours.to_secret_text())?;
    }
    Ok(())
}
