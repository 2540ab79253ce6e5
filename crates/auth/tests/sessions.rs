//! Sessions: how long they live and what ends them.

use crate::world::*;
use cairn_auth::{AuthConfig, KvStore};
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_session_ends_when_it_is_idle_and_use_keeps_it_alive() {
    let world = world();
    world.user("ada");
    let (used, unused) = (world.token("ada"), world.token("ada"));
    for _ in 0..10 {
        world.clock.advance(20 * MINUTE);
        assert!(world.is_alive(&used));
    }
    assert!(!world.is_alive(&unused));
    world.clock.advance(30 * MINUTE);
    assert!(!world.is_alive(&used));
}

#[test]
fn a_session_idles_for_at_least_three_quarters_of_its_time_whenever_it_was_used() {
    // Uses are written down coarsely; what is not written may not cost more than a quarter.
    for minutes in 0..8 {
        let world = world();
        world.user("ada");
        let token = world.token("ada");
        world.clock.advance(minutes * MINUTE);
        assert!(world.is_alive(&token));
        world.clock.advance(MINUTE * 22);
        assert!(world.is_alive(&token), "used after {minutes} min");
    }
}

#[test]
fn a_session_ends_after_its_lifetime_however_much_it_is_used() {
    let world = world();
    world.user("ada");
    let token = world.token("ada");
    for _ in 0..71 {
        world.clock.advance(10 * MINUTE);
        assert!(world.is_alive(&token));
    }
    world.clock.advance(10 * MINUTE);
    assert!(!world.is_alive(&token));
}

#[test]
fn one_session_or_all_can_be_revoked() {
    let world = world();
    let ada = world.user("ada");
    let sessions: Vec<_> = (0..3).map(|_| world.login("ada", PASSWORD).expect("logs in")).collect();
    assert_eq!(world.auth.list_sessions(ada).expect("reads").len(), 3);
    world.auth.revoke_session(sessions[0].id).expect("revoked");
    world.auth.revoke_session(sessions[0].id).expect("a second time is no error");
    world.auth.logout(&sessions[1].token).expect("revoked");
    let alive: Vec<_> = sessions.iter().map(|session| world.is_alive(&session.token)).collect();
    assert_eq!(alive, [false, false, true]);
    world.auth.revoke_all_sessions(ada).expect("exists");
    assert!(!world.is_alive(&sessions[2].token));
    assert!(world.auth.list_sessions(ada).expect("reads").is_empty());
    assert!(world.login("ada", PASSWORD).is_ok());
}

#[test]
fn another_password_or_role_ends_all_sessions() {
    let world = world();
    let ada = world.user("ada");
    let role = world.role("reader", &[]);
    let (mut password, mut token) = (PASSWORD.to_owned(), world.token("ada"));
    for step in 0..4 {
        assert!(world.is_alive(&token), "step {step}");
        match step {
            0 => {
                let old = password.as_str().into();
                password = "second password".into();
                world.auth.change_password(ada, &old, &password.as_str().into(), None)
            }
            1 => {
                password = "third password".into();
                world.auth.set_password(ada, &password.as_str().into())
            }
            2 => world.auth.grant_role(ada, &role),
            _ => world.auth.revoke_role(ada, &role),
        }
        .expect("changed");
        assert!(!world.is_alive(&token), "step {step}");
        token = world.login("ada", &password).expect("logs in").token;
    }
}

#[test]
fn a_principal_of_a_session_that_ended_may_nothing_any_more() {
    let world = world();
    let ada = world.user("ada");
    let role = world.role("reader", &[read_topics("x")]);
    world.auth.grant_role(ada, &role).expect("granted");
    let session = world.login("ada", PASSWORD).expect("logs in");
    let principal = world.auth.validate_session(&session.token).expect("alive");
    assert!(world.may(&principal, cairn_auth::Action::Read, "x"));
    world.auth.revoke_session(session.id).expect("revoked");
    assert!(!world.may(&principal, cairn_auth::Action::Read, "x"));
}

#[test]
fn every_bit_flip_and_every_cut_of_a_token_is_refused_without_panic() {
    let world = world();
    world.user("ada");
    let token = world.token("ada");
    for bit in 0..token.len() * 8 {
        let mut bytes = token.expose().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(is_unauthenticated(&world.auth.validate_session(&bytes)), "bit {bit}");
    }
    for len in 0..token.len() {
        assert!(is_unauthenticated(&world.auth.validate_session(&token.expose()[..len])));
    }
    assert!(is_unauthenticated(&world.auth.validate_session([token.expose(), b"0"].concat())));
    assert!(world.is_alive(&token));
}

#[test]
fn a_user_has_at_most_the_allowed_sessions_and_the_least_used_one_goes() {
    let config = AuthConfig { sessions_max: 3, ..AuthConfig::default() };
    let world = world_with(config, CheapHasher::default(), Arc::default());
    let ada = world.user("ada");
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(world.token("ada"));
        world.clock.advance(6 * MINUTE);
    }
    assert!(world.is_alive(&tokens[0]), "now the second one is unused for longest");
    tokens.push(world.token("ada"));
    let alive: Vec<_> = tokens.iter().map(|token| world.is_alive(token)).collect();
    assert_eq!(alive, [true, false, true, true]);
    assert_eq!(world.auth.list_sessions(ada).expect("reads").len(), 3);
}

#[test]
fn a_sweep_takes_dead_sessions_and_old_dead_keys_and_nothing_else() {
    let world = world();
    let (ada, bob) = (world.user("ada"), world.user("bob"));
    let dead: Vec<_> = (0..5).map(|_| world.token("ada")).collect();
    let revoked = world.auth.issue_api_key(ada, &live_key()).expect("issued");
    let kept = world.auth.issue_api_key(ada, &live_key()).expect("issued");
    world.auth.revoke_api_key(revoked.id).expect("exists");
    world.auth.revoke_all_sessions(ada).expect("exists");
    let alive = world.token("bob");
    let sweep = |limit| {
        let (mut sessions, mut keys, mut next) = (0, 0, None);
        loop {
            let swept = world.auth.sweep(next.as_ref(), limit).expect("sweeps");
            (sessions, keys) = (sessions + swept.sessions, keys + swept.api_keys);
            next = swept.next;
            if next.is_none() {
                return (sessions, keys);
            }
        }
    };
    assert_eq!(sweep(2), (5, 0), "revoked keys stay listed for a month");
    assert!(world.is_alive(&alive) && dead.iter().all(|token| !world.is_alive(token)));
    world.clock.advance(Duration::from_secs(31 * 24 * 3600));
    assert_eq!(sweep(1), (1, 1));
    assert!(world.key_works(&kept.key));
    assert_eq!(world.auth.list_api_keys(ada).expect("reads").len(), 1);
    assert!(world.auth.list_sessions(bob).expect("reads").is_empty());
    for prefix in ["s/", "t/"] {
        assert!(world.store.scan(prefix.as_bytes(), None, 9).expect("reads").is_empty());
    }
}
