//! Damaged tables and manifests: found, named, and built again where the log is whole.

use std::sync::Arc;

use cairn_vfs::{MemVfs, SeededRng};

use crate::{all, open};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn filled() -> (MemVfs, Pairs) {
    let disk = MemVfs::new();
    let tree = open(Arc::new(disk.clone()), 1).expect("opens");
    for n in 0..300_u32 {
        tree.put(format!("key{n:04}").as_bytes(), &n.to_le_bytes()).expect("puts");
    }
    tree.close().expect("closes");
    let all = all(&tree);
    (disk, all)
}

fn files(disk: &MemVfs) -> Vec<String> {
    let paths = disk.paths().into_iter();
    paths.filter(|path| path.contains("tables/")).collect()
}

#[test]
fn a_flipped_bit_in_any_file_is_found_or_the_file_is_built_again() {
    let (disk, expected) = filled();
    let rng = SeededRng::new(7);
    let files = files(&disk);
    assert!(files.len() > 2, "a manifest and tables: {files:?}");
    let (mut found, mut rebuilt) = (0, 0);
    for round in 0..400 {
        let disk = disk.fork();
        let path = &files[round % files.len()];
        disk.tamper(path, |bytes| {
            let bit = rng.below(bytes.len() as u64 * 8);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        });
        let tree = open(Arc::new(disk), 2).expect("opens: the log is whole");
        if tree.verify().is_err() {
            found += 1;
        } else {
            assert_eq!(all(&tree), expected, "round {round}: {path}");
            rebuilt += 1;
        }
    }
    assert!(found > 50 && rebuilt > 50, "found {found}, rebuilt {rebuilt}");
}

#[test]
fn a_read_of_a_damaged_block_is_an_error_and_never_another_answer() {
    let (disk, expected) = filled();
    let rng = SeededRng::new(8);
    let tables: Vec<_> = files(&disk).into_iter().filter(|p| p.ends_with(".table")).collect();
    let mut refused = 0;
    for round in 0..200 {
        let disk = disk.fork();
        disk.tamper(&tables[round % tables.len()], |bytes| {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = !bytes[at];
        });
        let tree = open(Arc::new(disk), 3).expect("opens");
        for (key, value) in &expected {
            match tree.get(key) {
                Ok(found) => assert_eq!(found.as_deref(), Some(&value[..]), "round {round}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 0);
}

#[test]
fn tables_swapped_or_missing_are_noticed() {
    let (disk, expected) = filled();
    let tables: Vec<_> = files(&disk).into_iter().filter(|p| p.ends_with(".table")).collect();
    let swapped = disk.fork();
    let mut first = Vec::new();
    swapped.tamper(&tables[0], |bytes| first = bytes.clone());
    swapped.tamper(&tables[1], |bytes| std::mem::swap(bytes, &mut first));
    let tree = open(Arc::new(swapped), 4).expect("opens: built again");
    assert_eq!(all(&tree), expected);
    assert!(tree.stats().is_complete || tree.verify().is_ok());
}

#[test]
fn everything_but_the_log_can_be_deleted() {
    use cairn_vfs::Vfs;
    let (disk, expected) = filled();
    for path in files(&disk) {
        disk.remove(&path).expect("removes");
    }
    let tree = open(Arc::new(disk), 5).expect("opens");
    assert_eq!(all(&tree), expected);
}
