//! What must not be seen: in the store, in `Debug`, in errors and events.

use crate::world::*;
use cairn_auth::{EnvelopeEncryptor, KvStore, MasterKey, Secret, StoreId};
use cairn_vfs::SeededRng;

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn the_store_holds_no_password_token_key_name_or_metadata() {
    let world = world();
    let name = cairn_auth::Username::new("ada.lovelace").expect("valid");
    let metadata = "born in 1815".into();
    let ada = world.auth.create_user(&name, &PASSWORD.into(), &metadata).expect("created");
    let token = world.token("ada.lovelace");
    let key = world.auth.issue_api_key(ada, &live_key()).expect("issued").key;
    let secret_of = |text: &Secret, part: usize| {
        let text = text.expose_str().expect("ASCII");
        text.split('_').nth(part).expect("has this part").to_owned()
    };
    let (token, key) = (secret_of(&token, 1), secret_of(&key, 3));
    let raw = |hex: &str| -> Vec<u8> {
        let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("digits");
        (0..hex.len()).step_by(2).map(pair).collect()
    };
    let secrets = [
        PASSWORD.into(),
        b"ada.lovelace".to_vec(),
        b"born in 1815".to_vec(),
        b"cheap0$".to_vec(),
        raw(&token),
        raw(&key),
        token.into_bytes(),
        key.into_bytes(),
        KEY.to_vec(),
    ];
    let rows = world.store.scan(b"", None, 1000).expect("reads");
    assert!(rows.len() > 8);
    for row in rows {
        for secret in &secrets {
            assert!(!contains(&row.key, secret) && !contains(&row.value, secret), "{:?}", row.key);
        }
    }
}

#[test]
fn no_secret_is_in_any_debug_output() {
    let world = world();
    let ada = world.user("ada");
    let session = world.login("ada", PASSWORD).expect("logs in");
    let key = world.auth.issue_api_key(ada, &live_key()).expect("issued");
    let master = MasterKey::from_bytes(&KEY).expect("strong");
    let (sealer, _) =
        EnvelopeEncryptor::create(StoreId::from_bytes([1; 16]), &master, &SeededRng::new(1));
    let principal = world.auth.validate_session(&session.token).expect("alive");
    let wrong = world.login("ada", "a wrong password");
    let printed = [
        format!("{:?}", world.auth),
        format!("{:?}", world.auth.user_info(ada)),
        format!("{:?}", world.auth.list_users(None, 9)),
        format!("{:?}", world.auth.list_sessions(ada)),
        format!("{:?}", world.auth.list_api_keys(ada)),
        format!("{session:?} {key:?} {principal:?} {wrong:?}"),
        format!("{:?} {master:?} {sealer:?} {:#?}", key_provider(), sealer),
        format!("{:?}", Secret::from(PASSWORD)),
        format!("{:?}", world.audit.take()),
        format!("{:?}", std::str::from_utf8(&KEY)).replace(KEY_TEXT, ""),
    ]
    .concat();
    let text = |secret: &Secret| secret.expose_str().expect("ASCII").to_owned();
    let digits =
        |secret: &Secret| text(secret).split('_').max_by_key(|part| part.len()).map(str::to_owned);
    let hidden = [
        PASSWORD.to_owned(),
        "a wrong password".to_owned(),
        "metadata: \"".to_owned(),
        "cheap0$".to_owned(),
        digits(&session.token).expect("has parts"),
        digits(&key.key).expect("has parts"),
        KEY_TEXT.to_owned(),
        // As `Debug` of byte arrays would print it.
        format!("{:?}", &KEY[..8]).trim_matches(['[', ']']).to_owned(),
    ];
    for secret in hidden {
        assert!(!printed.contains(&secret), "{secret}");
    }
    assert!(printed.contains("Secret(..)") && printed.contains("MasterKey(..)"));
}

const KEY_TEXT: &str = "0a1b2c3d4e5f6g7h8i9jAkBlCmDnEoFp";

fn key_provider() -> cairn_auth::GivenKey {
    key()
}

#[test]
fn secrets_are_compared_whole() {
    let one = Secret::from("abc");
    assert_eq!(one, Secret::from("abc"));
    assert_ne!(one, Secret::from("abd"));
    assert_ne!(one, Secret::from("abcd"));
    assert_ne!(one, Secret::from(""));
}
