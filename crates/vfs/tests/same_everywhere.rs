//! One suite for the real disk, the one in memory and the simulated one without faults.

use cairn_vfs::*;
use std::sync::Arc;

fn each(test: impl Fn(Arc<dyn Vfs>)) {
    let dir = tempfile::tempdir().expect("a directory");
    test(Arc::new(StdVfs::create(dir.path().join("store")).expect("opens")));
    test(Arc::new(MemVfs::new()));
    test(Arc::new(SimVfs::new(1, SimConfig::default())));
    let inner = Arc::new(MemVfs::new());
    test(Arc::new(CountdownVfs::new(inner, u64::MAX, Failure::Once(FaultKind::Io))));
}

#[test]
fn written_bytes_are_read_back() {
    each(|vfs| {
        vfs.create_dir_all("a/b").expect("creates");
        let file = vfs.open("a/b/c", OpenMode::Create).expect("creates");
        file.write_all_at(3, b"stone").expect("writes");
        assert_eq!(file.len().expect("len"), 8);
        let mut bytes = [9; 10];
        assert_eq!(file.read_at(0, &mut bytes).expect("reads"), 8);
        assert_eq!(&bytes[..8], b"\0\0\0stone");
        let eof = file.read_exact_at(4, &mut bytes).expect_err("too short");
        assert_eq!(eof.kind, FaultKind::UnexpectedEof);
        file.allocate(0, 100).expect("reserves");
        file.write_zeroes(8, 10).expect("writes");
        assert_eq!(file.len().expect("len"), 100);
        file.set_len(5).expect("cuts");
        file.sync_data().expect("syncs");
        file.sync_all().expect("syncs");
        assert_eq!(file.len().expect("len"), 5);
        let read_only = vfs.open("a/b/c", OpenMode::Read).expect("opens");
        assert!(read_only.write_all_at(0, b"x").is_err());
        assert!(read_only.set_len(1).is_err() && read_only.allocate(0, 9).is_err());
        assert_eq!(read_only.len().expect("len"), 5);
    });
}

#[test]
fn names_behave() {
    each(|vfs| {
        vfs.open("x", OpenMode::Create).expect("creates").write_all_at(0, b"x").expect("writes");
        let twice = vfs.open("x", OpenMode::Create).expect_err("exists");
        assert_eq!(twice.kind, FaultKind::AlreadyExists);
        assert!(vfs.open("y", OpenMode::Read).expect_err("absent").is_not_found());
        assert!(vfs.open("no/y", OpenMode::Create).expect_err("no directory").is_not_found());
        vfs.open("y", OpenMode::CreateOrOpen).expect("creates");
        vfs.rename("x", "y").expect("replaces");
        assert!(!vfs.exists("x").expect("looks"));
        vfs.hard_link("y", "z").expect("links");
        vfs.create_dir_all("dir").expect("creates");
        vfs.sync_dir("").expect("syncs");
        let names: Vec<_> = vfs.list("").expect("lists").into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["dir", "y", "z"]);
        vfs.remove("z").expect("removes");
        assert!(vfs.remove("z").expect_err("gone").is_not_found());
        for path in ["../y", "/y", "a/../y", ""] {
            let refused = vfs.open(path, OpenMode::CreateOrOpen).expect_err("leaves the root");
            assert_eq!(refused.kind, FaultKind::UnsafePath, "{path:?}");
        }
    });
}

#[test]
fn one_lock_at_a_time() {
    each(|vfs| {
        let held = vfs.lock("LOCK").expect("locks");
        assert_eq!(vfs.lock("LOCK").expect_err("held").kind, FaultKind::Locked);
        drop(held);
        vfs.lock("LOCK").expect("locks again");
    });
}

#[test]
fn a_mapping_shows_only_what_was_published() {
    let dir = tempfile::tempdir().expect("a directory");
    let vfs = StdVfs::create(dir.path().join("store")).expect("opens");
    let file = vfs.open("a", OpenMode::Create).expect("creates");
    let mapping = file.map(1 << 20).expect("maps");
    assert_eq!(mapping.slice(0, 1), None);
    // Nothing is behind the end of the file: who looks there is killed.
    assert_eq!(format!("{mapping:?}"), "Mapping { len: 1048576, limit: 0 }");
    file.write_all_at(0, b"stone").expect("writes");
    mapping.set_limit(5);
    assert_eq!(mapping.slice(1, 4), Some(b"tone".as_slice()));
    assert_eq!(mapping.bytes(4, 2), None);
    assert_eq!(mapping.bytes(u64::MAX, 2), None);
    assert_eq!(mapping.bytes(0, 5).as_deref(), Some(b"stone".as_slice()));
}

#[test]
fn unsafe_directories_are_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().expect("a directory");
    let real = dir.path().join("real");
    let vfs = StdVfs::create(&real).expect("creates");
    symlink(&real, dir.path().join("link")).expect("links");
    let link = StdVfs::open(dir.path().join("link")).expect_err("a link");
    assert_eq!(link.kind, FaultKind::UnsafePath);
    symlink("/etc/hostname", real.join("file")).expect("links");
    let inner = vfs.open("file", OpenMode::Read).expect_err("a link");
    assert_eq!(inner.kind, FaultKind::UnsafePath);
    vfs.open("mine", OpenMode::Create).expect("creates");
    let mode = |path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&real), mode(&real.join("mine"))), (0o700, 0o600));
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o777)).expect("changes");
    assert_eq!(StdVfs::open(&real).expect_err("too open").kind, FaultKind::Permissions);
}

#[test]
fn a_directory_is_created_with_those_above_it() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().expect("a directory");
    let vfs = StdVfs::create(dir.path().join("a/b/store")).expect("creates");
    let mode = std::fs::metadata(dir.path().join("a/b")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    StdVfs::create(vfs.root()).expect("is there already");
    symlink("elsewhere", vfs.root().join("LOCK")).expect("links");
    assert_eq!(vfs.lock("LOCK").expect_err("a link").kind, FaultKind::UnsafePath);
    assert!(!vfs.root().join("elsewhere").exists());
}

#[test]
fn a_full_disk_is_full_up_to_the_last_number() {
    let mem = MemVfs::new();
    mem.set_capacity(Some(10));
    let sim = SimVfs::new(1, SimConfig { capacity: 10, ..SimConfig::default() });
    for vfs in [Arc::new(mem) as Arc<dyn Vfs>, Arc::new(sim)] {
        let file = vfs.open("a", OpenMode::Create).expect("creates");
        file.write_all_at(0, b"1").expect("fits");
        vfs.open("b", OpenMode::Create).expect("creates").write_all_at(0, b"2").expect("fits");
        assert!(file.write_all_at(u64::MAX - 1, b"3").expect_err("full").is_no_space());
        assert!(file.set_len(u64::MAX).expect_err("full").is_no_space());
    }
}

#[test]
fn a_watcher_sees_a_write() {
    let dir = tempfile::tempdir().expect("a directory");
    let std: Arc<dyn Vfs> = Arc::new(StdVfs::create(dir.path().join("store")).expect("opens"));
    for vfs in [std, Arc::new(MemVfs::new())] {
        let file = vfs.open("a", OpenMode::Create).expect("creates");
        let mut watcher = vfs.watch("").expect("watches");
        assert!(!watcher.wait(std::time::Duration::from_millis(1)).expect("waits"));
        file.write_all_at(0, b"x").expect("writes");
        assert!(watcher.wait(std::time::Duration::from_secs(10)).expect("waits"));
    }
}

#[test]
fn a_full_disk_refuses_and_keeps_what_it_has() {
    let mem = MemVfs::new();
    mem.set_capacity(Some(10));
    let sim = SimVfs::new(1, SimConfig { capacity: 10, ..SimConfig::default() });
    for vfs in [Arc::new(mem) as Arc<dyn Vfs>, Arc::new(sim)] {
        let file = vfs.open("a", OpenMode::Create).expect("creates");
        file.write_all_at(0, b"12345678").expect("fits");
        assert!(file.write_all_at(8, b"90abc").expect_err("full").is_no_space());
        assert!(file.allocate(0, 11).expect_err("full").is_no_space());
        let mut bytes = [0; 8];
        file.read_exact_at(0, &mut bytes).expect("reads");
        assert_eq!(&bytes, b"12345678");
    }
}
