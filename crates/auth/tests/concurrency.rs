//! Several threads at once.

use crate::world::*;
use cairn_auth::{AuthConfig, Error, Username};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};

/// Runs the same in so many threads at the same time.
fn together<T: Send>(threads: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(threads);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|n| {
                let (start, run) = (&start, &run);
                scope.spawn(move || {
                    start.wait();
                    run(n)
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().expect("no panic")).collect()
    })
}

#[test]
fn of_two_renames_to_one_name_one_wins() {
    let world = world();
    for round in 0..100 {
        let users = [world.user(&format!("a{round}")), world.user(&format!("b{round}"))];
        let name = Username::new(format!("target{round}")).expect("valid");
        let results = together(2, |n| world.auth.rename_user(users[n], &name));
        let won: Vec<usize> = (0..2).filter(|n| results[*n].is_ok()).collect();
        assert_eq!(won.len(), 1, "round {round}: {results:?}");
        assert!(matches!(results[1 - won[0]], Err(Error::Exists { .. })));
        let holder = world.auth.find_user(&name).expect("reads");
        assert_eq!(holder, Some(users[won[0]]));
        let loser = world.auth.user_info(users[1 - won[0]]).expect("exists").name;
        assert_eq!(world.auth.find_user(&loser).expect("reads"), Some(users[1 - won[0]]));
    }
}

#[test]
fn of_many_creations_of_one_name_one_wins_and_all_numbers_differ() {
    let world = world();
    let shared = Username::new("shared").expect("valid");
    let results = together(8, |n| {
        let own = world.user(&format!("own{n}"));
        (own, world.auth.create_user(&shared, &PASSWORD.into(), &"".into()))
    });
    assert_eq!(results.iter().filter(|(_, shared)| shared.is_ok()).count(), 1);
    let ids: BTreeSet<_> = results.iter().map(|(own, _)| *own).collect();
    assert_eq!(ids.len(), 8);
    assert_eq!(world.auth.list_users(None, 100).expect("reads").len(), 9);
}

#[test]
fn a_session_issued_while_its_user_is_deleted_is_dead() {
    let world = world();
    for round in 0..50 {
        let name = format!("user{round}");
        let id = world.user(&name);
        let tokens = together(4, |n| match n {
            0 => {
                world.auth.delete_user(id).expect("exists");
                None
            }
            _ => world.login(&name, PASSWORD).ok().map(|session| session.token),
        });
        for token in tokens.iter().flatten() {
            assert!(!world.is_alive(token), "round {round}");
        }
        assert!(is_unauthenticated(&world.login(&name, PASSWORD)));
    }
}

#[test]
fn a_session_issued_with_the_old_password_does_not_outlive_its_change() {
    let world = world();
    let id = world.user("ada");
    for round in 0..50 {
        let (old, new) = (format!("password {round}"), format!("password {}", round + 1));
        world.auth.set_password(id, &old.as_str().into()).expect("exists");
        let tokens = together(4, |n| match n {
            0 => {
                world.auth.set_password(id, &new.as_str().into()).expect("exists");
                None
            }
            _ => world.login("ada", &old).ok().map(|session| session.token),
        });
        assert!(tokens.iter().flatten().all(|token| !world.is_alive(token)), "round {round}");
    }
}

#[test]
fn concurrent_grants_are_all_kept() {
    let world = world();
    let ada = world.user("ada");
    let roles: Vec<_> = (0..8).map(|n| world.role(&format!("r{n}"), &[])).collect();
    together(8, |n| world.auth.grant_role(ada, &roles[n]).expect("granted"));
    assert_eq!(world.auth.roles_of(ada).expect("reads"), roles);
}

#[test]
fn logins_hash_at_most_as_many_at_once_as_allowed() {
    let config = AuthConfig { hashes_max: 2, hashes_waiting_max: 3, ..AuthConfig::default() };
    let world = world_with(config, CheapHasher::default(), Arc::default());
    world.user("ada");
    world.hasher.running_max.store(0, Ordering::SeqCst);
    let results =
        together(16, |_| (0..20).map(|_| world.login("ada", PASSWORD)).collect::<Vec<_>>());
    assert!(world.hasher.running_max.load(Ordering::SeqCst) <= 2);
    for result in results.into_iter().flatten() {
        assert!(matches!(result, Ok(_) | Err(Error::Busy)), "{result:?}");
    }
    assert!(world.login("ada", PASSWORD).is_ok(), "being sent away is no failure of the account");
}

#[test]
fn two_that_create_one_store_agree_on_its_keys() {
    for _ in 0..20 {
        let store = Arc::default();
        let worlds = together(2, |_| {
            world_with(AuthConfig::default(), CheapHasher::default(), Arc::clone(&store))
        });
        worlds[0].user("ada");
        let token = worlds[1].token("ada");
        assert!(worlds[0].is_alive(&token));
        assert_eq!(worlds[0].auth.store_id(), worlds[1].auth.store_id());
    }
}
