//! Users beside the engine: bootstrap, passwords, encrypted metadata, API keys, and the engine
//! still at hand. Run as a test too.

use std::path::Path;

use cairndb::auth::{ApiKeyRequest, Error, GivenKey, Permission, RoleName, Username};
use cairndb::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    bootstrap_auth(&dir.path().join("auth-data"))
}

fn bootstrap_auth(data_dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    // A key of zeroes protects nothing and is refused; a real one comes from a file, an
    // environment variable or a key service.
    assert!(matches!(GivenKey::from_bytes(&[0; 32]), Err(Error::WeakKey { .. })));
    let key = GivenKey::from_text("q1Hn4Z8Jd0Yk9cP3uWmT5sVxR7bL2aEoGfKiNwQyX6M=")?;

    // The shared engine, and the service over it.
    let (engine, auth) = Engine::open(data_dir)?.into_auth_service(&key)?;

    let captain = Username::new("captain")?;
    let password = "it-doesnt-take-much".into();
    let user = auth.create_user(&captain, &password, &r#"{"role":"ops"}"#.into())?;
    println!("created user {user}");

    // Passwords are checked by logging in; a wrong one and an unknown user are the same error.
    let session = auth.login("captain", &password, None)?;
    assert_eq!(auth.validate_session(&session.token)?.user(), user);
    assert!(matches!(auth.login("captain", &"guess".into(), None), Err(Error::Unauthenticated)));

    // Metadata is sealed in the store and opened here.
    let metadata = auth.user_info(user)?.metadata;
    println!("user metadata => {}", metadata.expose_str().unwrap_or_default());
    assert_eq!(metadata.expose(), br#"{"role":"ops"}"#);

    // An API key: shown once, verified, revoked.
    let request = ApiKeyRequest { environment: "live".into(), ..ApiKeyRequest::default() };
    let issued = auth.issue_api_key(user, &request)?;
    println!("issued key {}", issued.id);
    let principal = auth.verify_api_key(&issued.key)?;
    println!("the key is of user {}", principal.user());
    assert_eq!(principal.user(), user);
    auth.revoke_api_key(issued.id)?;
    assert!(matches!(auth.verify_api_key(&issued.key), Err(Error::Unauthenticated)));

    // What the user may do with the engine is what its roles allow.
    engine.create_keyspace("ships")?;
    let admin = RoleName::new("admin")?;
    auth.create_role(&admin, &Permission::everything())?;
    auth.grant_role(user, &admin)?;
    engine.enable_auth()?;
    let session = auth.login("captain", &password, None)?;
    let handle = engine.as_principal(auth.validate_session(&session.token)?)?;
    handle.keyspace("ships")?.put("enterprise", "1701")?;
    assert!(engine.as_anonymous().keyspace("ships")?.get("enterprise").is_err());

    // The shared engine stays usable beside the service.
    assert_eq!(engine.keyspace("ships")?.get("enterprise")?.as_deref(), Some(&b"1701"[..]));
    engine.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_flow_runs_line_for_line() {
        let dir = tempfile::tempdir().expect("a directory");
        super::bootstrap_auth(&dir.path().join("auth-data")).expect("runs");
    }
}
