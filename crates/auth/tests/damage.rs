//! Stored bytes that were changed, moved or put back: refused, never a panic, never another's
//! rights.

use crate::world::*;
use cairn_auth::{Batch, Error, KvStore};

/// Writes bytes behind the service's back.
fn overwrite(world: &World, key: &bytes::Bytes, value: Vec<u8>) {
    let mut batch = Batch::new();
    batch.put(key.clone(), value);
    world.store.commit(batch).expect("no conditions");
}

fn rows(world: &World, prefix: &str) -> Vec<cairn_auth::Entry> {
    world.store.scan(prefix.as_bytes(), None, 100).expect("reads")
}

#[test]
fn every_bit_flip_of_a_stored_record_is_refused() {
    let world = world();
    let ada = world.user("ada");
    let token = world.token("ada");
    let key = world.auth.issue_api_key(ada, &live_key()).expect("issued").key;
    for prefix in ["u/", "s/", "k/"] {
        let row = rows(&world, prefix).remove(0);
        for bit in 0..row.value.len() * 8 {
            let mut flipped = row.value.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            overwrite(&world, &row.key, flipped);
            match prefix {
                "k/" => assert!(world.auth.verify_api_key(&key).is_err(), "bit {bit}"),
                "s/" => assert!(world.auth.validate_session(&token).is_err(), "bit {bit}"),
                _ => {
                    assert!(world.auth.user_info(ada).is_err(), "bit {bit}");
                    assert!(world.auth.validate_session(&token).is_err(), "bit {bit}");
                }
            }
        }
        overwrite(&world, &row.key, row.value.to_vec());
        assert!(world.is_alive(&token) && world.key_works(&key));
    }
}

#[test]
fn swapped_records_are_refused() {
    let world = world();
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    let (of_ada, of_bob) = (world.token("ada"), world.token("bob"));
    let keys = [ada, bob].map(|user| world.auth.issue_api_key(user, &live_key()).expect("issued"));
    for prefix in ["u/", "s/", "k/"] {
        let pair = rows(&world, prefix);
        assert_eq!(pair.len(), 2);
        overwrite(&world, &pair[0].key, pair[1].value.to_vec());
        overwrite(&world, &pair[1].key, pair[0].value.to_vec());
        match prefix {
            "u/" => {
                assert!(matches!(world.auth.user_info(ada), Err(Error::Decrypt { .. })));
                assert!(world.login("ada", PASSWORD).is_err());
            }
            "s/" => {
                for token in [&of_ada, &of_bob] {
                    let found = world.auth.validate_session(token);
                    assert!(matches!(found, Err(Error::Decrypt { .. })));
                }
            }
            _ => {
                for key in &keys {
                    let found = world.auth.verify_api_key(&key.key);
                    assert!(matches!(found, Err(Error::Decrypt { .. })));
                }
            }
        }
        overwrite(&world, &pair[0].key, pair[0].value.to_vec());
        overwrite(&world, &pair[1].key, pair[1].value.to_vec());
    }
    assert!(world.is_alive(&of_ada) && world.is_alive(&of_bob));
}

#[test]
fn a_name_that_points_to_another_user_logs_nobody_in() {
    let world = world();
    world.user("ada");
    world
        .auth
        .create_user(
            &cairn_auth::Username::new("eve").expect("valid"),
            &"eves password".into(),
            &"".into(),
        )
        .expect("created");
    let index = rows(&world, "n/");
    overwrite(&world, &index[0].key, index[1].value.to_vec());
    overwrite(&world, &index[1].key, index[0].value.to_vec());
    for name in ["ada", "eve"] {
        for password in [PASSWORD, "eves password"] {
            assert!(is_unauthenticated(&world.login(name, password)));
        }
    }
}

#[test]
fn a_role_of_greater_rights_cannot_be_put_in_the_place_of_another() {
    let world = world();
    let ada = world.user("ada");
    let reader = world.role("reader", &[read_topics("x")]);
    world.role("admin", &cairn_auth::Permission::everything());
    world.auth.grant_role(ada, &reader).expect("granted");
    let principal = world.auth.validate_session(world.token("ada")).expect("alive");
    let roles = rows(&world, "r/");
    overwrite(&world, &roles[0].key, roles[1].value.to_vec());
    let decided = world.auth.check(&principal, cairn_auth::Action::Manage, &topic_named("x"));
    assert!(matches!(decided, Err(Error::Decrypt { .. })), "no decision, so nothing is allowed");
}

#[test]
fn damaged_plain_rows_are_errors_and_not_panics() {
    let world = world();
    world.user("ada");
    for prefix in ["m/next", "m/id", "n/", "e/"] {
        let row = rows(&world, prefix).remove(0);
        for len in 0..row.value.len() {
            overwrite(&world, &row.key, row.value[..len].to_vec());
            match prefix {
                "m/next" => {
                    let name = cairn_auth::Username::new("bob").expect("valid");
                    assert!(world.auth.create_user(&name, &PASSWORD.into(), &"".into()).is_err());
                }
                "n/" => assert!(world.login("ada", PASSWORD).is_err()),
                _ => assert!(world.auth.rotate_data_key(&key()).is_err()),
            }
        }
        overwrite(&world, &row.key, row.value.to_vec());
    }
    assert!(world.login("ada", PASSWORD).is_ok());
}
