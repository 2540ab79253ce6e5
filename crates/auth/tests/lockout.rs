//! The last administrator stays.

use std::sync::Arc;

use cairn_auth::{
    Actions, AdminArea, AuthConfig, Error, NamePattern, Permission, RoleName, Scope, UserId,
    Username,
};

use crate::world::{CheapHasher, PASSWORD, World, world_with};

fn guarded() -> World {
    let config = AuthConfig { keep_administrator: true, ..AuthConfig::default() };
    world_with(config, CheapHasher::default(), Arc::default())
}

fn role(name: &str) -> RoleName {
    RoleName::new(name).expect("a valid name")
}

fn user(world: &World, name: &str) -> UserId {
    let name = Username::new(name).expect("a valid name");
    world.auth.create_user(&name, &PASSWORD.into(), &"".into()).expect("creates")
}

fn administrator(world: &World, name: &str) -> UserId {
    let id = user(world, name);
    let _ = world.auth.create_role(&role("admin"), &Permission::everything());
    world.auth.grant_role(id, &role("admin")).expect("grants");
    id
}

#[test]
fn no_step_takes_the_last_administrator() {
    let world = guarded();
    let (ada, bob) = (administrator(&world, "ada"), user(&world, "bob"));
    let auth = &world.auth;
    let last = |result: Result<(), Error>| assert!(matches!(result, Err(Error::LastAdministrator)));
    last(auth.disable_user(ada));
    last(auth.delete_user(ada));
    last(auth.revoke_role(ada, &role("admin")));
    last(auth.delete_role(&role("admin")));
    let reads = Permission::new(Actions::READ, Scope::Topic(NamePattern::Any));
    last(auth.set_role_permissions(&role("admin"), std::slice::from_ref(&reads)));
    auth.disable_user(bob).expect("bob is none");
    // A disabled administrator does not count.
    auth.grant_role(bob, &role("admin")).expect("grants");
    last(auth.delete_user(ada));
    auth.enable_user(bob).expect("enables");
    auth.delete_user(ada).expect("bob is left");
    last(auth.disable_user(bob));
}

#[test]
fn an_administrator_by_two_roles_counts_and_half_of_one_does_not() {
    let world = guarded();
    let (ada, bob) = (administrator(&world, "ada"), user(&world, "bob"));
    let auth = &world.auth;
    for (name, area) in [("people", AdminArea::Users), ("roles", AdminArea::Roles)] {
        let scope = Scope::Admin(Some(area));
        auth.create_role(&role(name), &[Permission::new(Actions::MANAGE, scope)]).expect("creates");
    }
    auth.grant_role(bob, &role("people")).expect("grants");
    assert!(matches!(auth.disable_user(ada), Err(Error::LastAdministrator)));
    auth.grant_role(bob, &role("roles")).expect("grants");
    auth.disable_user(ada).expect("bob manages users and roles");
    assert!(matches!(auth.delete_role(&role("people")), Err(Error::LastAdministrator)));
}

#[test]
fn administrators_who_remove_each_other_at_once_leave_one() {
    for _ in 0..20 {
        let world = guarded();
        let (ada, bob) = (administrator(&world, "ada"), administrator(&world, "bob"));
        let auth = &world.auth;
        let (one, two) = std::thread::scope(|scope| {
            let one = scope.spawn(move || auth.delete_user(bob));
            let two = scope.spawn(move || auth.revoke_role(ada, &role("admin")));
            (one.join().expect("ends"), two.join().expect("ends"))
        });
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        assert!(auth.has_administrator().expect("reads"));
    }
}
