//! Decisions against a naive evaluator that looks at every key.

use bytes::Bytes;
use cairn_auth::{
    Action, Actions, AdminArea, KeyRange, NamePattern, Permission, Resource, Scope, policy,
};
use cairn_types::{KeyspaceName, Topic};
use proptest::prelude::*;

const NAMES: [&str; 4] = ["a", "ab", "b", "orders"];
/// Keys are one letter, so that ranges meet and overlap often; bounds may be two.
const KEYS: [&[u8]; 6] = [b"", b"a", b"b", b"c", b"d", b"e"];

fn key_range() -> impl Strategy<Value = KeyRange> {
    let bound = || prop_oneof![(0_usize..6).prop_map(|n| Bytes::from_static(KEYS[n]))];
    prop_oneof![
        6 => (bound(), proptest::option::of(bound()))
            .prop_filter_map("not empty", |(start, end)| KeyRange::new(start, end).ok()),
        2 => (0_usize..6).prop_map(|n| KeyRange::key(KEYS[n])),
        1 => (0_usize..6).prop_map(|n| KeyRange::prefix(KEYS[n])),
    ]
}

fn names() -> impl Strategy<Value = NamePattern> {
    prop_oneof![
        1 => Just(NamePattern::Any),
        4 => (0..NAMES.len()).prop_map(|n| NamePattern::exact(NAMES[n]).expect("valid")),
        2 => (0..NAMES.len()).prop_map(|n| NamePattern::prefix(NAMES[n]).expect("valid")),
    ]
}

fn area() -> impl Strategy<Value = AdminArea> {
    (0..AdminArea::ALL.len()).prop_map(|n| AdminArea::ALL[n])
}

fn permission() -> impl Strategy<Value = Permission> {
    let actions = prop_oneof![
        Just(Actions::READ),
        Just(Actions::WRITE),
        Just(Actions::MANAGE),
        Just(Actions::READ | Actions::WRITE),
        Just(Actions::ALL),
    ];
    let scope = prop_oneof![
        6 => (names(), key_range()).prop_map(|(names, range)| Scope::Keys(names, range)),
        1 => names().prop_map(Scope::Keyspace),
        2 => names().prop_map(Scope::Topic),
        1 => proptest::option::of(area()).prop_map(Scope::Admin),
    ];
    (actions, scope).prop_map(|(actions, scope)| Permission::new(actions, scope))
}

fn resource() -> impl Strategy<Value = Resource> {
    let keyspace = || (0..NAMES.len()).prop_map(|n| KeyspaceName::new(NAMES[n]).expect("valid"));
    let topic = (0..NAMES.len()).prop_map(|n| Topic::new(NAMES[n]).expect("valid"));
    prop_oneof![
        6 => (keyspace(), key_range()).prop_map(|(name, range)| Resource::Keys(name, range)),
        1 => keyspace().prop_map(Resource::Keyspace),
        2 => topic.prop_map(Resource::Topic),
        1 => area().prop_map(Resource::Admin),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    (0..3_usize).prop_map(|n| Action::ALL[n])
}

/// Every key at which something can change: each bound, and one right after it.
fn probes() -> Vec<Vec<u8>> {
    let singles = KEYS.iter().map(|key| key.to_vec());
    let after = KEYS.iter().map(|key| [key, b"\0".as_slice()].concat());
    let between = KEYS.iter().map(|key| [key, b"zz".as_slice()].concat());
    singles.chain(after).chain(between).chain([vec![0xff; 5]]).collect()
}

fn named(pattern: &NamePattern, name: &str) -> bool {
    match pattern {
        NamePattern::Any => true,
        NamePattern::Exact(exact) => &**exact == name,
        NamePattern::Prefix(prefix) => name.get(..prefix.len()) == Some(prefix),
    }
}

/// Every key of the range must be allowed by one permission of its own.
fn naive(permissions: &[Permission], action: Action, resource: &Resource) -> bool {
    let fitting = || permissions.iter().filter(|p| p.actions.contains(action)).map(|p| &p.scope);
    let key_allowed = |keyspace: &str, key: &[u8]| {
        fitting().any(|scope| match scope {
            Scope::Keys(names, range) => named(names, keyspace) && range.contains(key),
            Scope::Keyspace(names) => named(names, keyspace),
            _ => false,
        })
    };
    match resource {
        Resource::Keys(keyspace, range) => probes()
            .iter()
            .filter(|key| range.contains(key))
            .all(|key| key_allowed(keyspace.as_str(), key)),
        Resource::Keyspace(keyspace) => fitting()
            .any(|scope| matches!(scope, Scope::Keyspace(names) if named(names, keyspace.as_str()))),
        Resource::Topic(topic) => fitting()
            .any(|scope| matches!(scope, Scope::Topic(names) if named(names, topic.as_str()))),
        Resource::Admin(area) => fitting().any(|scope| {
            matches!(scope, Scope::Admin(allowed) if allowed.is_none() || *allowed == Some(*area))
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_those_of_a_naive_evaluator(
        permissions in proptest::collection::vec(permission(), 0..8),
        action in action(),
        resource in resource(),
    ) {
        let allowed = policy::allows(&permissions, action, &resource);
        prop_assert_eq!(allowed, naive(&permissions, action, &resource));
    }

    #[test]
    fn order_never_matters_and_more_never_allows_less(
        permissions in proptest::collection::vec(permission(), 0..8),
        more in permission(),
        action in action(),
        resource in resource(),
    ) {
        let allowed = policy::allows(&permissions, action, &resource);
        prop_assert_eq!(allowed, policy::allows(permissions.iter().rev(), action, &resource));
        let with_more = policy::allows(permissions.iter().chain([&more]), action, &resource);
        prop_assert!(with_more || !allowed);
    }
}

#[test]
fn nothing_is_allowed_without_a_permission_and_everything_with_all() {
    let everything = Permission::everything();
    let keyspace = KeyspaceName::new("a").expect("valid");
    let resources = [
        Resource::Keys(keyspace.clone(), KeyRange::all()),
        Resource::Keyspace(keyspace),
        Resource::Topic(Topic::new("a").expect("valid")),
        Resource::Admin(AdminArea::Keys),
    ];
    for resource in &resources {
        for action in Action::ALL {
            assert!(!policy::allows(&[], action, resource));
            assert!(policy::allows(&everything, action, resource));
        }
    }
}

#[test]
fn ranges_that_meet_cover_together_and_a_gap_of_one_key_does_not() {
    let keyspace = KeyspaceName::new("a").expect("valid");
    let range = |start: &'static str, end: &'static str| {
        KeyRange::new(start, Some(Bytes::from_static(end.as_bytes()))).expect("not empty")
    };
    let allow = |ranges: &[KeyRange]| -> Vec<Permission> {
        let scope = |range: &KeyRange| Scope::Keys(NamePattern::Any, range.clone());
        ranges.iter().map(|range| Permission::new(Actions::READ, scope(range))).collect()
    };
    let asked = Resource::Keys(keyspace, range("b", "f"));
    let covers = |ranges: &[KeyRange]| policy::allows(&allow(ranges), Action::Read, &asked);
    assert!(covers(&[range("d", "z"), range("a", "d")]));
    assert!(!covers(&[range("d\0", "z"), range("a", "d")]), "the key d is missing");
    assert!(!covers(&[range("a", "d"), range("d", "e")]));
    assert!(!covers(&[range("c", "z")]));
}

#[test]
fn all_keys_of_a_keyspace_are_not_the_keyspace() {
    let keyspace = KeyspaceName::new("a").expect("valid");
    let may = [Permission::new(Actions::ALL, Scope::Keys(NamePattern::Any, KeyRange::all()))];
    assert!(policy::allows(
        &may,
        Action::Write,
        &Resource::Keys(keyspace.clone(), KeyRange::all())
    ));
    assert!(!policy::allows(&may, Action::Manage, &Resource::Keyspace(keyspace)));
}

#[test]
fn empty_and_inverted_ranges_cannot_be_made() {
    assert!(KeyRange::new("b", Some("a".into())).is_err());
    assert!(KeyRange::new("b", Some("b".into())).is_err());
    assert!(KeyRange::new("", Some(Bytes::new())).is_err());
    assert!(KeyRange::new(vec![0; 5000], None).is_err());
    let prefix = KeyRange::prefix(b"a\xff\xff");
    assert_eq!((prefix.start(), prefix.end()), (b"a\xff\xff".as_slice(), Some(b"b".as_slice())));
    assert_eq!(KeyRange::prefix(b"\xff\xff").end(), None);
}
