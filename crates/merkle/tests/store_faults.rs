//! A store that fails: what was added is known, and the call can be repeated.

use std::sync::Arc;

use cairn_merkle::Result;
use cairn_merkle::log::{TileReader, TiledTree, VfsTiles, prove};
use cairn_vfs::{CountdownVfs, Failure, FaultKind, MemVfs};

use crate::support::{leaves, tiled};

/// Adds and publishes until it works; says how often the store failed.
fn fill(tree: &mut TiledTree<VfsTiles>, size: u64) -> u32 {
    let (all, mut failed) = (leaves(size), 0);
    for end in [150, 300, 550, size] {
        while tree.size() < end {
            let from = tree.size() as usize;
            failed += u32::from(tree.extend(&all[from..end as usize]).is_err());
        }
        while tree.publish().is_err() {
            failed += 1;
        }
    }
    failed
}

#[test]
fn whichever_operation_fails_the_tiles_are_right_in_the_end() -> Result<()> {
    let (_, expected) = tiled(800);
    for nth in 1.. {
        let disk = Arc::new(MemVfs::new());
        let vfs = CountdownVfs::new(disk.clone(), nth, Failure::Once(FaultKind::Io));
        let mut tree = TiledTree::new(VfsTiles::new(Arc::new(vfs), "tiles").synced());
        let failed = fill(&mut tree, 800);
        assert_eq!(tree.head(), expected, "operation {nth}");
        let reader = TileReader::open(VfsTiles::new(disk, "tiles"), expected)?;
        for index in (0..800).step_by(50) {
            prove::inclusion(&reader, index, 800)?;
        }
        assert!(failed <= 1);
        if failed == 0 {
            assert!(nth > 40, "the store was used: {nth}");
            break;
        }
    }
    Ok(())
}
