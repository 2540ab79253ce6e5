//! Sessions of a web shop: a login, a cart, a logout everywhere. Run it with
//! `cargo run -p cairn-cache --example sessions`.

use cairn_cache::{SessionConfig, SessionManager, SessionToken};
use cairndb::auth::GivenKey;
use cairndb::prelude::*;
use cairndb::vfs::{OsRng, Rng};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Shopper {
    cart: Vec<String>,
    #[serde(default)]
    newsletter: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("data"))?;
    // In a program: a `FileKey`, or a key from a secret manager. It is never in the store.
    let mut key = [0; 32];
    OsRng.fill(&mut key);
    let sessions = SessionManager::<Shopper>::open(
        &engine,
        &GivenKey::from_bytes(&key)?,
        SessionConfig::default(),
    )?;

    // A login: the token goes into a cookie and nowhere else.
    let issued = sessions.store("alice", &Shopper::default())?;
    let cookie = issued.token.expose();
    println!("session {} until {}", issued.id, issued.expires_at);

    // A request: the cookie comes back. `touch` keeps the session alive.
    let token = cookie.expose_str().and_then(SessionToken::parse).expect("our own cookie");
    let session = sessions.touch(&token)?.expect("it lives");
    println!("{} has {:?}", session.user, session.data.cart);
    sessions.update(&token, |shopper| shopper.cart.push("tea".to_owned()))?;
    assert_eq!(sessions.get(&token)?.expect("it lives").data.cart, ["tea"]);

    // Another device, then "log out everywhere": one transaction, and nobody is served any more.
    let phone = sessions.store("alice", &Shopper::default())?;
    assert_eq!(sessions.revoke_all("alice")?, 2);
    assert!(sessions.get(&token)?.is_none() && sessions.get(&phone.token)?.is_none());
    println!("logged out everywhere; {:?}", sessions.stats());
    Ok(())
}

#[test]
fn the_example_runs() {
    main().expect("runs");
}
