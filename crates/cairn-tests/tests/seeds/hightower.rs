//! hightower-kv: keys over a log. There, deleted keys came back after compaction and reopening,
//! also after concurrent writes, and a torn tail kept the store from opening.

use super::engine;
use cairn_vfs::MemVfs;

#[test]
fn deleted_keys_stay_deleted_after_compaction_and_reopening() {
    let vfs = MemVfs::new();
    {
        let engine = engine(&vfs);
        engine.create_keyspace("k").expect("creates");
        let keys = engine.keyspace("k").expect("there");
        for number in 0..200 {
            keys.put(format!("key{number}"), "v").expect("puts");
        }
        for number in (0..200).step_by(2) {
            keys.delete(format!("key{number}")).expect("deletes");
        }
        engine.keys().compact(engine.revision()).expect("compacts");
        assert_eq!(keys.key_count().expect("counts"), 100);
    }
    for _ in 0..3 {
        let engine = engine(&vfs);
        let keys = engine.keyspace("k").expect("there");
        assert_eq!(keys.key_count().expect("counts"), 100);
        for number in 0..200 {
            let found = keys.get(format!("key{number}")).expect("reads");
            assert_eq!(found.is_some(), number % 2 == 1, "key{number}");
        }
    }
}

#[test]
fn concurrent_puts_and_deletes_reopen_as_they_ended() {
    let vfs = MemVfs::new();
    let hash = {
        let engine = engine(&vfs);
        engine.create_keyspace("k").expect("creates");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let keys = engine.keyspace("k").expect("there");
                scope.spawn(move || {
                    for number in 0..300 {
                        let key = format!("key{}", (number * 7 + thread) % 20);
                        if number % 3 == 0 {
                            keys.delete(key).expect("deletes");
                        } else {
                            keys.put(key, number.to_string()).expect("puts");
                        }
                    }
                });
            }
        });
        engine.keys().state_hash(0).expect("hashes")
    };
    for _ in 0..3 {
        assert_eq!(engine(&vfs).keys().state_hash(0).expect("hashes"), hash);
    }
}

#[test]
fn a_wholly_dead_first_segment_brings_nothing_back() {
    let vfs = MemVfs::new();
    {
        let engine = engine(&vfs);
        engine.create_keyspace("k").expect("creates");
        let keys = engine.keyspace("k").expect("there");
        keys.put("old", "v").expect("puts");
        engine.log().roll().expect("rolls");
        keys.delete("old").expect("deletes");
        engine.keys().compact(engine.revision()).expect("compacts");
        engine.log().roll().expect("rolls");
        keys.put("new", "v").expect("puts");
        let everything = cairn_segment::Retention { max_len: Some(1), ..Default::default() };
        engine.retain(&everything).expect("retains");
    }
    let engine = engine(&vfs);
    let keys = engine.keyspace("k").expect("there");
    assert_eq!((keys.get("old").expect("reads"), keys.key_count().expect("counts")), (None, 1));
}

#[test]
fn after_a_restart_no_password_logs_in_as_somebody_else() {
    let vfs = MemVfs::new();
    let mut known: Vec<(String, String, cairn_auth::UserId)> = Vec::new();
    for round in 0..4 {
        let (_engine, auth) = crate::auth::open(&vfs);
        for (name, password, id) in &known {
            let session = auth.login(name, &crate::auth::secret(password), None).expect("logs in");
            assert_eq!(session.user, *id, "{name}");
        }
        // The newest user goes: its number must not come back after the restart.
        let (name, password) = (format!("user{round}"), format!("a long password {round}"));
        let id = crate::auth::user(&auth, &name, &password);
        assert!(known.iter().all(|(_, _, other)| *other != id));
        let doomed = crate::auth::user(&auth, "doomed", "another long password");
        auth.delete_user(doomed).expect("deletes");
        known.push((name, password, id));
    }
    let (_engine, auth) = crate::auth::open(&vfs);
    assert!(auth.login("doomed", &crate::auth::secret("another long password"), None).is_err());
}

#[test]
fn a_key_of_zeroes_is_refused_and_the_store_stays_as_it_was() {
    let vfs = MemVfs::new();
    drop(engine(&vfs));
    assert!(cairn_auth::GivenKey::from_bytes(&[0; 32]).is_err());
    let engine = engine(&vfs);
    assert_eq!(engine.revision(), 1);
    assert!(!engine.auth_enabled().expect("reads"));
}

#[test]
fn the_authentication_helper_keeps_apart_from_keys_and_is_listed_nowhere() {
    let vfs = MemVfs::new();
    let (engine, auth) = crate::auth::open(&vfs);
    engine.create_keyspace("k").expect("creates");
    let keys = engine.keyspace("k").expect("there");
    keys.put("auth/user/1", "an ordinary key").expect("puts");
    let id = crate::auth::user(&auth, "captain", "it-doesnt-take-much");
    assert_eq!(keys.key_count().expect("counts"), 1);
    assert_eq!(engine.keyspaces().len(), 1);
    keys.delete("auth/user/1").expect("deletes");
    assert_eq!(auth.user_info(id).expect("there").name.as_str(), "captain");
}
