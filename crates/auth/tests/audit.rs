//! Every decision is told to the sink, with its cause.

use crate::world::*;
use cairn_auth::{Action, ApiKeyRequest, Cause, RoleName, Subject, Username, What};
use std::time::Duration;

#[test]
fn every_decision_and_every_change_is_one_event() {
    let world = world();
    let name = |text: &str| Username::new(text).expect("valid");
    let role = RoleName::new("reader").expect("valid");
    let auth = &world.auth;
    let mut calls = 0;
    let mut told = |what: fn(&What) -> bool, outcome: Result<(), Cause>| {
        let events = world.audit.take();
        calls += 1;
        assert_eq!(events.len(), 1, "call {calls}: {events:?}");
        assert!(what(&events[0].what), "call {calls}: {events:?}");
        assert_eq!(events[0].outcome, outcome, "call {calls}: {events:?}");
        events.into_iter().next().expect("one event")
    };
    let ada = world.user("ada");
    let event = told(|what| *what == What::CreateUser, Ok(()));
    assert_eq!(event.subject, Subject::User(ada));
    let _ = auth.create_user(&name("ada"), &PASSWORD.into(), &"".into());
    told(|what| *what == What::CreateUser, Err(Cause::Malformed));
    auth.create_role(&role, &[read_topics("x")]).expect("created");
    told(|what| matches!(what, What::DefineRole(_)), Ok(()));
    auth.grant_role(ada, &role).expect("granted");
    told(|what| matches!(what, What::GrantRole(_)), Ok(()));
    let session = world.login("ada", PASSWORD).expect("logs in");
    told(|what| matches!(what, What::Login { .. }), Ok(()));
    let principal = auth.validate_session(&session.token).expect("alive");
    told(|what| *what == What::ValidateSession, Ok(()));
    assert!(world.may(&principal, Action::Read, "x"));
    told(|what| matches!(what, What::Check { action: Action::Read, .. }), Ok(()));
    assert!(!world.may(&principal, Action::Write, "x"));
    told(|what| matches!(what, What::Check { .. }), Err(Cause::NoPermission));
    let request = ApiKeyRequest { scopes: Some(Vec::new()), ..live_key() };
    let key = auth.issue_api_key(ada, &request).expect("issued");
    told(|what| matches!(what, What::IssueApiKey { key: Some(_) }), Ok(()));
    let by_key = auth.verify_api_key(&key.key).expect("alive");
    told(|what| matches!(what, What::VerifyApiKey { key: Some(_) }), Ok(()));
    assert!(!world.may(&by_key, Action::Read, "x"));
    told(|what| matches!(what, What::Check { .. }), Err(Cause::OutOfScope));
    auth.revoke_api_key(key.id).expect("exists");
    told(|what| matches!(what, What::RevokeApiKey(_)), Ok(()));
    assert!(!world.key_works(&key.key));
    told(|what| matches!(what, What::VerifyApiKey { .. }), Err(Cause::Revoked));
    assert!(is_unauthenticated(&auth.verify_api_key("cairn_typo")));
    told(|what| matches!(what, What::VerifyApiKey { key: None }), Err(Cause::Malformed));
    world.clock.advance(Duration::from_secs(1800));
    assert!(!world.is_alive(&session.token));
    told(|what| *what == What::ValidateSession, Err(Cause::Idle));
    world.clock.advance(Duration::from_secs(12 * 3600));
    assert!(!world.is_alive(&session.token));
    told(|what| *what == What::ValidateSession, Err(Cause::Expired));
    auth.set_password(ada, &"another password".into()).expect("exists");
    told(|what| *what == What::ChangePassword, Ok(()));
    assert!(!world.is_alive(&session.token));
    told(|what| *what == What::ValidateSession, Err(Cause::Revoked));
    auth.rename_user(ada, &name("lovelace")).expect("free");
    told(|what| *what == What::RenameUser, Ok(()));
    auth.disable_user(ada).expect("exists");
    told(|what| *what == What::DisableUser, Ok(()));
    let _ = world.login("lovelace", "another password");
    told(|what| matches!(what, What::Login { .. }), Err(Cause::Disabled));
    auth.enable_user(ada).expect("exists");
    told(|what| *what == What::EnableUser, Ok(()));
    auth.revoke_all_sessions(ada).expect("exists");
    told(|what| *what == What::RevokeAllSessions, Ok(()));
    auth.rotate_data_key(&key_of_world()).expect("rotates");
    told(|what| matches!(what, What::RotateDataKey { key: Some(_) }), Ok(()));
    auth.rotate_master_key(&key_of_world()).expect("rotates");
    told(|what| *what == What::RotateMasterKey, Ok(()));
    auth.revoke_role(ada, &role).expect("had it");
    told(|what| matches!(what, What::RevokeRole(_)), Ok(()));
    auth.delete_role(&role).expect("exists");
    told(|what| matches!(what, What::DeleteRole(_)), Ok(()));
    auth.delete_user(ada).expect("exists");
    told(|what| *what == What::DeleteUser, Ok(()));
}

fn key_of_world() -> cairn_auth::GivenKey {
    key()
}
