//! Logins: one error, equal work, limits, hashes again.

use crate::world::*;
use cairn_auth::{AttemptLimit, AuthConfig, Cause, Error, Secret, Subject, Username, What};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn every_cause_of_failure_is_one_error() {
    let world = world();
    world.user("ada");
    let bob = world.user("bob");
    world.auth.disable_user(bob).expect("exists");
    let long = "x".repeat(100_000);
    let attempts = [
        ("ada", "wrong password"),
        ("ada", ""),
        ("ada", &long),
        ("nobody", PASSWORD),
        ("bob", PASSWORD),
        ("no name\0", PASSWORD),
        ("", PASSWORD),
        (&long, PASSWORD),
    ];
    for (name, password) in attempts {
        let error = world.login(name, password).expect_err("refused");
        assert_eq!(error.to_string(), "not authenticated");
        assert_eq!(format!("{error:?}"), "Unauthenticated");
    }
}

#[test]
fn unknown_disabled_and_malformed_names_cost_one_hash_like_wrong_passwords() {
    let world = world();
    world.user("ada");
    let bob = world.user("bob");
    world.auth.disable_user(bob).expect("exists");
    let long = "x".repeat(2000);
    for (name, password) in
        [("ada", "wrong"), ("nobody", "wrong"), ("bob", PASSWORD), ("a b", "x"), ("ada", &long)]
    {
        let before = world.hasher.hashes.load(Ordering::SeqCst);
        assert!(is_unauthenticated(&world.login(name, password)));
        assert_eq!(world.hasher.hashes.load(Ordering::SeqCst), before + 1, "{name}");
    }
}

fn limited(burst: u32) -> World {
    let limit = AttemptLimit { burst, refill: Duration::from_secs(30), remembered: 1024 };
    let config = AuthConfig { account_limit: limit, ..AuthConfig::default() };
    world_with(config, CheapHasher::default(), Arc::default())
}

#[test]
fn failures_of_an_account_are_limited_and_time_gives_them_back() {
    let world = limited(3);
    world.user("ada");
    world.user("bob");
    for _ in 0..3 {
        assert!(is_unauthenticated(&world.login("ada", "wrong password")));
    }
    let hashes = world.hasher.hashes.load(Ordering::SeqCst);
    // Also the right password, in other capitals too, and without any work.
    for name in ["ada", "ADA"] {
        let error = world.login(name, PASSWORD).expect_err("throttled");
        assert!(matches!(error, Error::Throttled { retry_after } if retry_after.as_secs() == 30));
    }
    assert_eq!(world.hasher.hashes.load(Ordering::SeqCst), hashes);
    assert!(world.login("bob", PASSWORD).is_ok(), "others are not concerned");
    world.clock.advance(Duration::from_secs(29));
    assert!(matches!(world.login("ada", PASSWORD), Err(Error::Throttled { .. })));
    world.clock.advance(Duration::from_secs(1));
    assert!(world.login("ada", PASSWORD).is_ok());
}

#[test]
fn successes_are_not_limited_and_a_jump_of_the_date_forgives_nothing() {
    let world = limited(2);
    world.user("ada");
    for _ in 0..20 {
        assert!(world.login("ada", PASSWORD).is_ok());
    }
    assert!(is_unauthenticated(&world.login("ada", "wrong password")));
    assert!(is_unauthenticated(&world.login("ada", "wrong password")));
    world.clock.set(cairn_types::Timestamp::from_secs(4_000_000_000));
    assert!(matches!(world.login("ada", PASSWORD), Err(Error::Throttled { .. })));
}

#[test]
fn names_that_do_not_exist_are_limited_alike() {
    let world = limited(3);
    for _ in 0..3 {
        assert!(is_unauthenticated(&world.login("nobody", PASSWORD)));
    }
    assert!(matches!(world.login("nobody", PASSWORD), Err(Error::Throttled { .. })));
}

#[test]
fn failures_from_an_address_are_limited_over_all_accounts() {
    let limit = AttemptLimit { burst: 5, refill: Duration::from_secs(30), remembered: 1024 };
    let config = AuthConfig { address_limit: limit, ..AuthConfig::default() };
    let world = world_with(config, CheapHasher::default(), Arc::default());
    world.user("ada");
    let from = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
    let attempt = |name: &str, password: &str, address: &str| {
        world.auth.login(name, &password.into(), from(address))
    };
    for n in 0..5 {
        // A /64 of IPv6 is one address.
        let address = format!("2001:db8::{n}");
        assert!(is_unauthenticated(&attempt(&format!("user{n}"), "wrong", &address)));
    }
    assert!(matches!(attempt("ada", PASSWORD, "2001:db8::77"), Err(Error::Throttled { .. })));
    assert!(attempt("ada", PASSWORD, "2001:db8:0:1::1").is_ok());
    assert!(attempt("ada", PASSWORD, "192.0.2.1").is_ok());
    for _ in 0..5 {
        assert!(is_unauthenticated(&attempt("other", "wrong", "::ffff:192.0.2.9")));
    }
    let mapped = attempt("ada", PASSWORD, "192.0.2.9");
    assert!(matches!(mapped, Err(Error::Throttled { .. })), "an address has one spelling");
}

#[test]
fn an_outdated_hash_is_made_anew_at_the_next_login() {
    let store = Arc::default();
    let old = world_with(AuthConfig::default(), CheapHasher::default(), Arc::clone(&store));
    old.user("ada");
    let token = old.token("ada");
    drop(old.auth);
    let today = CheapHasher { format: 1, ..CheapHasher::default() };
    let world = world_with(AuthConfig::default(), today, store);
    let hashes = || world.hasher.hashes.load(Ordering::SeqCst);
    let before = hashes();
    assert!(world.login("ada", PASSWORD).is_ok());
    assert_eq!(hashes(), before + 2, "checked and hashed again");
    assert!(world.login("ada", PASSWORD).is_ok());
    assert_eq!(hashes(), before + 3, "only checked");
    assert!(is_unauthenticated(&world.login("ada", "wrong password")));
    assert!(world.is_alive(&token), "the password is the same, so sessions go on");
}

#[test]
fn a_password_is_changed_by_its_owner_or_set() {
    let world = world();
    let ada = world.user("ada");
    let change =
        |old: &str, new: &str| world.auth.change_password(ada, &old.into(), &new.into(), None);
    assert!(is_unauthenticated(&change("wrong password", "new password")));
    assert!(matches!(change(PASSWORD, "short"), Err(Error::Invalid { .. })));
    change(PASSWORD, "new password").expect("the old one is right");
    assert!(is_unauthenticated(&world.login("ada", PASSWORD)));
    assert!(world.login("ada", "new password").is_ok());
    world.auth.set_password(ada, &"third password".into()).expect("exists");
    assert!(is_unauthenticated(&world.login("ada", "new password")));
    assert!(world.login("ada", "third password").is_ok());
}

#[test]
fn passwords_out_of_bounds_are_refused_before_any_work() {
    let world = world();
    let before = world.hasher.hashes.load(Ordering::SeqCst);
    for len in [0, 7, 1025, 1 << 20] {
        let password = Secret::from(vec![b'x'; len]);
        let name = Username::new("ada").expect("valid");
        let created = world.auth.create_user(&name, &password, &"".into());
        assert!(matches!(created, Err(Error::Invalid { .. })), "{len}");
    }
    assert_eq!(world.hasher.hashes.load(Ordering::SeqCst), before);
}

#[test]
fn the_cause_of_a_failure_goes_to_the_audit_sink_alone() {
    let world = world();
    let ada = world.user("ada");
    let _ = world.audit.take();
    let _ = world.login("ada", "wrong password");
    let _ = world.login("my password by mistake", "x");
    let events = world.audit.take();
    assert_eq!(events[0].subject, Subject::User(ada));
    assert_eq!(events[0].outcome, Err(Cause::WrongSecret));
    assert!(matches!(events[1].subject, Subject::UnknownName(_)));
    assert_eq!(events[1].outcome, Err(Cause::Unknown));
    assert!(events.iter().all(|event| event.what == What::Login { from: None }));
    assert!(!format!("{events:?}").contains("mistake"));
}
