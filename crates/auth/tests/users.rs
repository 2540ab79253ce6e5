//! Users, their names and their roles.

use crate::world::*;
use cairn_auth::{Action, AuthConfig, Error, Permission, RoleName, Username};
use std::sync::Arc;

fn name(text: &str) -> Username {
    Username::new(text).expect("valid")
}

#[test]
fn names_are_kept_as_written_and_compared_without_capitals() {
    let world = world();
    let ada = world.user("Ada");
    assert_eq!(world.auth.find_user(&name("aDA")).expect("reads"), Some(ada));
    assert_eq!(world.auth.user_info(ada).expect("exists").name.as_str(), "Ada");
    let again = world.auth.create_user(&name("ADA"), &PASSWORD.into(), &"".into());
    assert!(matches!(again, Err(Error::Exists { .. })));
    world.auth.rename_user(ada, &name("ADA")).expect("only other capitals");
    assert_eq!(world.auth.user_info(ada).expect("exists").name.as_str(), "ADA");
    assert!(world.login("ada", PASSWORD).is_ok());
}

#[test]
fn hostile_names_are_refused() {
    let long = "x".repeat(129);
    for text in ["", "a b", "a/b", "a\0", "ä", "аda", "a\n", "a:b", &long] {
        assert!(Username::new(text).is_err(), "{text:?}");
        assert!(RoleName::new(text).is_err(), "{text:?}");
    }
    assert!(RoleName::new("Reader").is_err());
}

#[test]
fn a_renamed_user_keeps_everything_and_frees_the_old_name() {
    let world = world();
    let ada = world.user("ada");
    let token = world.token("ada");
    world.auth.rename_user(ada, &name("lovelace")).expect("free");
    assert!(world.is_alive(&token));
    assert!(is_unauthenticated(&world.login("ada", PASSWORD)));
    assert_eq!(world.login("lovelace", PASSWORD).expect("logs in").user, ada);
    assert_ne!(world.user("ada"), ada);
    let taken = world.auth.rename_user(ada, &name("Ada"));
    assert!(matches!(taken, Err(Error::Exists { .. })));
}

#[test]
fn a_deleted_users_name_is_free_and_its_keys_and_sessions_are_dead() {
    let world = world();
    let before = world.store.len();
    let ada = world.user("ada");
    let (token, key) = (world.token("ada"), world.auth.issue_api_key(ada, &live_key()));
    let key = key.expect("issued").key;
    assert!(world.is_alive(&token) && world.key_works(&key));
    world.auth.delete_user(ada).expect("exists");
    assert!(!world.is_alive(&token) && !world.key_works(&key));
    assert!(is_unauthenticated(&world.login("ada", PASSWORD)));
    assert!(matches!(world.auth.delete_user(ada), Err(Error::NotFound { .. })));
    // Only the counter of numbers is left.
    assert_eq!(world.store.len(), before + 1);
    let second = world.user("ADA");
    assert_ne!(second, ada);
    assert!(!world.is_alive(&token) && !world.key_works(&key));
}

#[test]
fn user_ids_are_never_reused_also_after_a_restart() {
    let store = Arc::default();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let world = world_with(AuthConfig::default(), CheapHasher::default(), Arc::clone(&store));
        for n in 0..3 {
            let user = world.user(&format!("user{n}"));
            assert!(seen.insert(user), "{user} was given twice");
        }
        for user in world.auth.list_users(None, 10).expect("reads") {
            world.auth.delete_user(user.id).expect("exists");
        }
    }
    assert_eq!(seen.len(), 12);
}

#[test]
fn after_a_restart_everybody_is_who_they_were() {
    let store = Arc::default();
    let (ada, token, key) = {
        let world = world_with(AuthConfig::default(), CheapHasher::default(), Arc::clone(&store));
        let ada = world.user("ada");
        let key = world.auth.issue_api_key(ada, &live_key()).expect("issued").key;
        (ada, world.token("ada"), key)
    };
    let world = world_with(AuthConfig::default(), CheapHasher::default(), store);
    let eve = world.auth.create_user(&name("eve"), &"eves password".into(), &"".into());
    assert_ne!(eve.expect("created"), ada);
    assert_eq!(world.auth.validate_session(&token).expect("alive").user(), ada);
    assert_eq!(world.auth.verify_api_key(&key).expect("alive").user(), ada);
    assert!(is_unauthenticated(&world.login("ada", "eves password")));
    assert_eq!(world.login("ada", PASSWORD).expect("logs in").user, ada);
}

#[test]
fn a_disabled_user_can_do_nothing_and_enabling_does_not_revive_sessions() {
    let world = world();
    let ada = world.user("ada");
    let token = world.token("ada");
    let key = world.auth.issue_api_key(ada, &live_key()).expect("issued").key;
    let principal = world.auth.verify_api_key(&key).expect("alive");
    let role = world.role("reader", &[read_topics("x")]);
    world.auth.grant_role(ada, &role).expect("granted");
    assert!(world.may(&principal, Action::Read, "x1"));
    world.auth.disable_user(ada).expect("exists");
    assert!(!world.is_alive(&token) && !world.key_works(&key));
    assert!(is_unauthenticated(&world.login("ada", PASSWORD)));
    assert!(is_unauthenticated(&world.auth.issue_session(ada)));
    assert!(!world.may(&principal, Action::Read, "x1"));
    world.auth.enable_user(ada).expect("exists");
    assert!(!world.is_alive(&token));
    assert!(world.key_works(&key) && world.login("ada", PASSWORD).is_ok());
}

#[test]
fn users_are_listed_in_pages_with_their_metadata() {
    let world = world();
    let ids: Vec<_> = (0..7).map(|n| world.user(&format!("user{n}"))).collect();
    world.auth.set_metadata(ids[0], &"other".into()).expect("exists");
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.auth.list_users(after, 3).expect("reads");
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page);
    }
    assert_eq!(seen.iter().map(|user| user.id).collect::<Vec<_>>(), ids);
    assert_eq!(seen[0].metadata.expose(), b"other");
    assert_eq!(seen[1].metadata.expose(), b"metadata");
    let large = vec![b'x'; (16 << 10) + 1].into();
    assert!(matches!(world.auth.set_metadata(ids[0], &large), Err(Error::Full { .. })));
}

#[test]
fn roles_are_granted_revoked_and_listed() {
    let world = world();
    let ada = world.user("ada");
    let (reader, admin) = (world.role("reader", &[read_topics("x")]), world.role("admin", &[]));
    assert_eq!(world.auth.list_roles(None, 10).expect("reads"), [admin.clone(), reader.clone()]);
    let after = world.auth.list_roles(Some(&admin), 10).expect("reads");
    assert_eq!(after, std::slice::from_ref(&reader));
    world.auth.grant_role(ada, &reader).expect("granted");
    world.auth.grant_role(ada, &reader).expect("a second time is no error");
    world.auth.grant_role(ada, &admin).expect("granted");
    assert_eq!(world.auth.roles_of(ada).expect("reads"), [admin.clone(), reader.clone()]);
    world.auth.revoke_role(ada, &admin).expect("had it");
    assert!(matches!(world.auth.revoke_role(ada, &admin), Err(Error::NotFound { .. })));
    assert_eq!(world.auth.roles_of(ada).expect("reads"), std::slice::from_ref(&reader));
    let ghost = RoleName::new("ghost").expect("valid");
    assert!(matches!(world.auth.grant_role(ada, &ghost), Err(Error::NotFound { .. })));
    let twice = world.auth.create_role(&reader, &[]);
    assert!(matches!(twice, Err(Error::Exists { .. })));
    assert_eq!(world.auth.role_info(&reader).expect("exists").permissions, [read_topics("x")]);
}

#[test]
fn a_deleted_role_is_gone_from_everybody_also_when_its_name_returns() {
    let world = world();
    let ada = world.user("ada");
    let role = world.role("admin", &Permission::everything());
    world.auth.grant_role(ada, &role).expect("granted");
    let principal = world.auth.validate_session(world.token("ada")).expect("alive");
    assert!(world.may(&principal, Action::Manage, "x"));
    world.auth.delete_role(&role).expect("exists");
    assert!(!world.may(&principal, Action::Manage, "x"));
    world.role("admin", &Permission::everything());
    assert!(!world.may(&principal, Action::Manage, "x"), "another role, not granted");
    assert!(world.auth.roles_of(ada).expect("reads").is_empty());
}

#[test]
fn other_permissions_of_a_role_hold_at_once() {
    let world = world();
    let ada = world.user("ada");
    let role = world.role("reader", &[read_topics("x")]);
    world.auth.grant_role(ada, &role).expect("granted");
    let principal = world.auth.validate_session(world.token("ada")).expect("alive");
    assert!(world.may(&principal, Action::Read, "x") && !world.may(&principal, Action::Read, "y"));
    world.auth.set_role_permissions(&role, &[read_topics("y")]).expect("exists");
    assert!(!world.may(&principal, Action::Read, "x") && world.may(&principal, Action::Read, "y"));
}

#[test]
fn a_user_has_at_most_64_roles_and_dead_ones_make_room() {
    let world = world();
    let ada = world.user("ada");
    let roles: Vec<_> = (0..65).map(|n| world.role(&format!("r{n}"), &[])).collect();
    roles[..64].iter().for_each(|role| world.auth.grant_role(ada, role).expect("room"));
    assert!(matches!(world.auth.grant_role(ada, &roles[64]), Err(Error::Full { .. })));
    world.auth.delete_role(&roles[7]).expect("exists");
    world.auth.grant_role(ada, &roles[64]).expect("room again");
    assert_eq!(world.auth.roles_of(ada).expect("reads").len(), 64);
}
