//! Tiles: names, contents, restarts, damage.

use std::sync::Arc;

use cairn_merkle::hash::{Hash, leaf_hash};
use cairn_merkle::log::entries::{self, BundleBuilder};
use cairn_merkle::log::{
    Leaves, MemTiles, TileId, TileReader, TileStore, TiledTree, Tree, TreeHead, VfsTiles,
    consistency, inclusion, prove,
};
use cairn_merkle::{Error, Result};
use cairn_vfs::{MemVfs, OpenMode, Rng, SeededRng, Vfs};
use proptest::prelude::*;

use crate::support::{LARGE, flips, leaf, leaves, tiled};

#[test]
fn tiles_have_the_names_of_the_format() -> Result<()> {
    for (tile, path) in [
        (TileId::hashes(0, 0, 256)?, "tile/0/000"),
        (TileId::hashes(0, 999, 256)?, "tile/0/999"),
        (TileId::hashes(1, 1000, 256)?, "tile/1/x001/000"),
        (TileId::hashes(0, 1_234_067, 256)?, "tile/0/x001/x234/067"),
        (TileId::hashes(63, 0, 1)?, "tile/63/000.p/1"),
        (TileId::hashes(0, 999_999_999, 255)?, "tile/0/x999/x999/999.p/255"),
        (TileId::entries(1_234, 17)?, "tile/entries/x001/234.p/17"),
    ] {
        assert_eq!(tile.to_string(), path);
        assert_eq!(path.parse::<TileId>()?, tile);
    }
    for wrong in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/00/000",
        "tile/0/1000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/+1/000",
        "tile/0/+00",
        "tile/64/000",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000.p/1/",
        "tile/entries/",
        "tile/0/..",
        "tile/0/x-01/000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999",
        "tile/0/0\u{661}0",
        "tile/0/x001/000.p/-1",
    ] {
        assert!(wrong.parse::<TileId>().is_err(), "{wrong}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_tile_has_one_name(level in 0..64_u8, index in 0..=(1_u64 << 55) - 1, width in 1..=256_u16) {
        let tile = TileId::hashes(level, index, width).expect("in range");
        prop_assert_eq!(tile.to_string().parse::<TileId>().expect("as written"), tile);
    }

    #[test]
    fn text_that_is_a_name_is_the_name_it_stands_for(text in "(tile/)?[0-9x/.p]{0,20}") {
        if let Ok(tile) = text.parse::<TileId>() {
            prop_assert_eq!(tile.to_string(), text);
        }
    }

    #[test]
    fn random_bytes_make_no_bundle_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), width in 0..300_u16) {
        if let Ok(entries) = entries::parse(&bytes.clone().into(), width) {
            prop_assert_eq!(entries.len(), usize::from(width));
        }
    }
}

/// The tiles that the format says a tree of this size has.
fn names_of(size: u64) -> Vec<TileId> {
    let mut names = Vec::new();
    for level in 0..8 {
        let hashes = size >> (8 * level);
        names.extend((0..hashes / 256).map(|index| TileId::hashes(level, index, 256)));
        if !hashes.is_multiple_of(256) {
            names.push(TileId::hashes(level, hashes / 256, (hashes % 256) as u16));
        }
    }
    let mut names: Vec<_> = names.into_iter().map(|name| name.expect("in range")).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_published_tree_has_exactly_the_tiles_of_its_size() {
    // The example of the specification.
    let (tiles, _) = tiled(70_000);
    assert_eq!(tiles.tiles(), names_of(70_000));
    assert_eq!(tiles.tiles().len(), 273 + 1 + 1 + 1 + 1);
    for size in [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537] {
        assert_eq!(tiled(size).0.tiles(), names_of(size), "{size}");
    }
}

#[test]
fn proofs_from_tiles_are_those_from_all_leaves() -> Result<()> {
    let all = leaves(LARGE);
    let rng = SeededRng::new(1);
    let sizes = [1, 2, 255, 256, 257, 511, 512, 700, 2_000, LARGE - 1, LARGE];
    for size in sizes {
        let (tiles, head) = tiled(size);
        let reader = TileReader::open(tiles, head)?.with_cached_tiles(2);
        let leaves = Leaves(&all[..size as usize]);
        for _ in 0..20 {
            let (index, old) = (rng.below(size), 1 + rng.below(size));
            let proof = prove::inclusion(&reader, index, size)?;
            inclusion::verify(index, size, &leaf(index), &proof, &head.root)?;
            let grown = prove::consistency(&reader, old, size)?;
            let old_root = prove::root(&reader, old)?;
            consistency::verify(&TreeHead { size: old, root: old_root }, &head, &grown)?;
            if size <= 2_000 {
                assert_eq!(proof, prove::inclusion(&leaves, index, size)?);
                assert_eq!(grown, prove::consistency(&leaves, old, size)?);
                // A proof in an earlier tree comes from the same tiles.
                let index = rng.below(old);
                let proof = prove::inclusion(&reader, index, old)?;
                inclusion::verify(index, old, &leaf(index), &proof, &old_root)?;
            }
        }
        assert!(prove::inclusion(&reader, 0, size + 1).is_err(), "beyond the head");
    }
    Ok(())
}

#[test]
fn a_tree_that_is_opened_again_at_any_size_goes_on_as_if_it_never_stopped() -> Result<()> {
    for size in (0..800).step_by(37).chain([255, 256, 257, 512]) {
        let (tiles, head) = tiled(size);
        let mut tree = TiledTree::open(tiles.clone(), &head)?;
        assert_eq!(tree.head(), head);
        assert_eq!(tree.publish()?, head);
        for n in size..900 {
            tree.push(leaf(n))?;
        }
        let (whole, expected) = tiled(900);
        assert_eq!(tree.publish()?, expected, "from {size}");
        for name in names_of(900) {
            assert_eq!(tiles.read_tile(name)?, whole.read_tile(name)?, "{name} from {size}");
        }
    }
    Ok(())
}

#[test]
fn publishing_at_every_size_keeps_only_partial_tiles_that_are_needed() -> Result<()> {
    let tiles = Arc::new(MemTiles::new());
    let mut tree = TiledTree::new(tiles.clone());
    let mut reader = TileReader::open(tiles.clone(), TreeHead::empty())?;
    let mut plain = Tree::new();
    for n in 0..700 {
        tree.push(leaf(n))?;
        plain.push(leaf(n))?;
        let head = tree.publish()?;
        assert_eq!(head, plain.head());
        reader.advance(head)?;
        for index in [0, n / 2, n] {
            let proof = prove::inclusion(&reader, index, n + 1)?;
            inclusion::verify(index, n + 1, &leaf(index), &proof, &head.root)?;
        }
    }
    let partial = tiles.tiles().into_iter().filter(|tile| !tile.is_full()).count();
    assert_eq!(partial, (700 - 512) + 2, "those of the last tile of each level");
    // A head whose partial tiles are gone is read from the full ones.
    let mut early = Tree::new();
    early.extend(&leaves(300))?;
    TileReader::open(tiles.clone(), early.head())?;
    TiledTree::open(tiles, &early.head())?;
    Ok(())
}

#[test]
fn every_flipped_bit_of_a_tile_is_an_error_and_never_a_proof() -> Result<()> {
    let size = 600;
    let (tiles, head) = tiled(size);
    let other = MemTiles::new();
    for name in tiles.tiles() {
        other.write_tile(name, &tiles.read_tile(name)?.expect("listed"))?;
    }
    let step = if cfg!(debug_assertions) { 13 } else { 1 };
    for name in tiles.tiles() {
        let bytes = tiles.read_tile(name)?.expect("listed");
        for (bit, flipped) in flips(&bytes).step_by(step) {
            other.write_tile(name, &flipped)?;
            let index = name.index() * 256 + bit as u64 / 256;
            let proof = TileReader::open(&other, head)
                .and_then(|reader| prove::inclusion(&reader, index.min(size - 1), size));
            assert!(proof.is_err(), "{name}, bit {bit}");
            if !name.is_full() {
                assert!(TiledTree::open(&other, &head).is_err(), "{name}, bit {bit}");
            }
        }
        other.write_tile(name, &bytes)?;
        // Tiles of the right length with other content: zeroes, or another tile.
        other.write_tile(name, &vec![0; bytes.len()])?;
        let index = (name.index() * 256).min(size - 1);
        let proof = TileReader::open(&other, head)
            .and_then(|reader| prove::inclusion(&reader, index, size));
        assert!(proof.is_err(), "{name} of zeroes");
        other.write_tile(name, &bytes)?;
    }
    let reader = TileReader::open(&other, head)?;
    prove::inclusion(&reader, 0, size)?;
    Ok(())
}

#[test]
fn a_reader_refuses_a_fork_and_stays_where_it_was() -> Result<()> {
    let (tiles, head) = tiled(300);
    let mut reader = TileReader::open(tiles.clone(), head)?;
    prove::inclusion(&reader, 5, 300)?;
    // Somebody writes another history over the tiles.
    let mut fork = TiledTree::new(tiles.clone());
    for n in 0..600 {
        fork.push(leaf(n + u64::from(n >= 280)))?;
    }
    let forked = fork.publish()?;
    assert!(matches!(reader.advance(forked), Err(Error::RootMismatch { .. })));
    assert_eq!(*reader.head(), head);
    let (tiles, grown) = tiled(600);
    let mut reader = TileReader::open(tiles, grown)?;
    assert!(reader.advance(head).is_err(), "a log does not shrink");
    assert_eq!(*reader.head(), grown);
    prove::inclusion(&reader, 5, 600)?;
    Ok(())
}

#[test]
fn tiles_in_a_directory_are_those_in_memory() -> Result<()> {
    let vfs = Arc::new(MemVfs::new());
    let (tiles, head) = tiled(70_000);
    for store in
        [VfsTiles::new(vfs.clone(), "tiles"), VfsTiles::new(Arc::new(MemVfs::new()), "").synced()]
    {
        let mut tree = TiledTree::new(&store);
        for chunk in leaves(70_000).chunks(10_007) {
            tree.extend(chunk)?;
            tree.publish()?;
        }
        assert_eq!(tree.head(), head);
        for name in tiles.tiles() {
            assert_eq!(store.read_tile(name)?, tiles.read_tile(name)?, "{name}");
        }
        TileReader::open(&store, head)?;
    }
    // 10,007 leaves end within tile 39, which has become full since.
    assert!(vfs.exists("tiles/tile/0/039")?);
    assert_eq!(vfs.list("tiles/tile/0/039.p")?, []);
    let names = vfs.list("tiles/tile/0")?;
    assert!(!names.iter().any(|entry| entry.name.contains("tmp")));
    Ok(())
}

#[test]
fn a_file_of_another_length_is_an_error_before_it_is_read() -> Result<()> {
    let vfs = Arc::new(MemVfs::new());
    let store = VfsTiles::new(vfs.clone(), "t");
    let tile = TileId::hashes(0, 0, 2)?;
    store.write_tile(tile, &[1; 64])?;
    let file = vfs.open("t/tile/0/000.p/2", OpenMode::ReadWrite)?;
    for len in [0, 1, 63, 65, 1 << 40] {
        file.set_len(len.min(1 << 20))?;
        assert!(matches!(store.read_tile(tile), Err(Error::Corrupt { .. })), "{len}");
    }
    assert!(store.write_tile(tile, &[1; 63]).is_err());
    assert!(store.read_tile(TileId::hashes(0, 0, 3)?)?.is_none());
    let bundle = TileId::entries(0, 1)?;
    assert!(store.write_tile(bundle, &[0; 2 + 65_535 + 1]).is_err());
    Ok(())
}

#[test]
fn a_temporary_file_that_a_crash_left_is_in_nobodys_way() -> Result<()> {
    let vfs = Arc::new(MemVfs::new());
    vfs.create_dir_all("t/tile/0")?;
    vfs.open("t/tile/0/000.tmp", OpenMode::Create)?.write_all_at(0, &[9; 10_000])?;
    let store = VfsTiles::new(vfs, "t");
    let tile = TileId::hashes(0, 0, 256)?;
    assert!(store.read_tile(tile)?.is_none());
    store.write_tile(tile, &[1; 8192])?;
    assert_eq!(store.read_tile(tile)?.expect("written"), vec![1; 8192]);
    Ok(())
}

#[test]
fn bundles_hold_what_the_leaves_are_made_of() -> Result<()> {
    let rng = SeededRng::new(5);
    let mut bundle = BundleBuilder::new();
    let mut all: Vec<Vec<u8>> = Vec::new();
    for n in 0..256 {
        let mut entry = vec![0; [0, 1, 300, 65_535][n % 4]];
        rng.fill(&mut entry);
        bundle.push(&entry)?;
        all.push(entry);
        let parsed = entries::parse(&bundle.as_bytes().to_vec().into(), bundle.count())?;
        assert_eq!(parsed.last().expect("one at least"), all.last().expect("one at least"));
    }
    assert!(bundle.push(b"one more").is_err());
    assert!(BundleBuilder::new().push(&[0; 65_536]).is_err());
    let bytes = bytes_of(&bundle);
    let leaves: Vec<Hash> = entries::parse(&bytes, 256)?.iter().map(|e| leaf_hash(e)).collect();
    assert_eq!(leaves, all.iter().map(|e| leaf_hash(e)).collect::<Vec<_>>());
    for width in [0, 1, 255, 257] {
        assert!(entries::parse(&bytes, width).is_err(), "{width}");
    }
    assert!(entries::parse(&bytes.slice(..bytes.len() - 1), 256).is_err());
    Ok(())
}

fn bytes_of(bundle: &BundleBuilder) -> bytes::Bytes {
    bundle.as_bytes().to_vec().into()
}
