//! etcd's rules for leases: one test for each.

use std::time::Duration;

use crate::{Lab, S, get, put};
use cairn_mvcc::*;

fn leased(store: &Store, key: &str, lease: LeaseId) {
    store.put(Put::new(S, key.to_owned(), "v").lease(lease)).expect("puts");
}

#[test]
fn m28_grants_are_clamped_and_numbers_are_unique() {
    let lab = Lab { options: Options { lease_ttl_min: 2, ..Options::default() }, ..Lab::new() };
    let store = lab.open();
    assert_eq!(store.lease_grant(Some(LeaseId::new(7)), 1).expect("grants").ttl, 2);
    assert!(matches!(store.lease_grant(Some(LeaseId::new(7)), 9), Err(Error::LeaseExists { .. })));
    let refused = store.lease_grant(None, 9_000_000_001).expect_err("too long");
    assert!(matches!(refused, Error::LeaseTtlTooLarge { .. }));
    assert_eq!(store.lease_grant(Some(LeaseId::new(-3)), 60).expect("grants").id.get(), -3);
    let chosen = store.lease_grant(None, 60).expect("grants").id;
    assert!(chosen.get() > 0);
    assert_eq!(store.lease_ids().len(), 3);
    assert_eq!(store.revision(), 1, "a lease alone is no revision");
    drop(store);
    assert_eq!(lab.open().lease_ids().len(), 3);
}

#[test]
fn m29_revoking_deletes_all_keys_sorted_in_one_revision() {
    let lab = Lab::new();
    let store = lab.open();
    let lease = store.lease_grant(None, 60).expect("grants").id;
    for key in ["c", "a", "b"] {
        leased(&store, key, lease);
    }
    put(&store, "other", "stays");
    let revision = store.revision();
    assert_eq!(store.lease_revoke(lease).expect("revokes"), 3);
    assert_eq!(store.revision(), revision + 1);
    let mut watcher =
        store.watch(WatchRequest::new(S, Range::all()).from(revision + 1)).expect("watches");
    let batch = watcher.try_next().expect("reads").expect("a batch");
    let keys: Vec<_> = batch.changes.iter().map(|c| (c.deleted, c.kv.key.clone())).collect();
    assert_eq!(keys, [(true, "a".into()), (true, "b".into()), (true, "c".into())]);
    assert!(matches!(store.lease_revoke(lease), Err(Error::LeaseNotFound { .. })));
    let empty = store.lease_grant(None, 60).expect("grants").id;
    assert_eq!(store.lease_revoke(empty).expect("revokes"), 0);
    assert_eq!(store.revision(), revision + 1, "a lease without keys is no revision");
    drop((watcher, store));
    let store = lab.open();
    assert!(store.lease_ids().is_empty() && get(&store, "a").is_none());
    assert_eq!(get(&store, "other").expect("stays").value, "stays");
}

#[test]
fn m29_a_lease_is_not_ended_beside_a_change_of_one_of_its_keys() {
    let store = Lab::new().open();
    let lease = store.lease_grant(None, 60).expect("grants").id;
    leased(&store, "a", lease);
    let refused = store.write(|planner| {
        planner.put(&Put::new(S, "a", "other"))?;
        planner.lease_revoke(lease, false)
    });
    assert!(matches!(refused, Err(Error::DuplicateKey { .. })), "{refused:?}");
    assert_eq!((get(&store, "a").expect("there").version, store.lease_ids().len()), (1, 1));
}

#[test]
fn m30_a_put_moves_or_detaches_and_a_delete_detaches() {
    let store = Lab::new().open();
    let [one, two] =
        [1, 2].map(|id| store.lease_grant(Some(LeaseId::new(id)), 60).expect("grants").id);
    let attached = |id| store.lease(id).expect("exists").keys.len();
    leased(&store, "k", one);
    assert_eq!((attached(one), attached(two)), (1, 0));
    leased(&store, "k", two);
    assert_eq!((attached(one), attached(two)), (0, 1));
    put(&store, "k", "without");
    assert_eq!((attached(one), attached(two)), (0, 0));
    leased(&store, "k", one);
    store.delete(&DeleteRange::key(S, "k")).expect("deletes");
    assert_eq!(attached(one), 0);
    leased(&store, "k", one);
    store.lease_revoke(two).expect("revokes");
    assert!(get(&store, "k").is_some());
}

#[test]
fn m31_expiry_is_on_time_and_a_short_lease_does_not_wait_for_a_long_one() {
    let lab = Lab::new();
    let store = lab.open();
    let long = store.lease_grant(None, 60).expect("grants").id;
    let short = store.lease_grant(None, 1).expect("grants").id;
    leased(&store, "long", long);
    leased(&store, "short", short);
    assert_eq!(store.expire_leases().expect("expires"), 0);
    lab.clock.advance(Duration::from_millis(999));
    assert_eq!(store.expire_leases().expect("expires"), 0, "none early");
    lab.clock.advance(Duration::from_millis(1));
    assert_eq!(store.expire_leases().expect("expires"), 1);
    assert_eq!((get(&store, "short"), get(&store, "long").is_some()), (None, true));
    assert_eq!(store.lease(long).expect("exists").remaining, Duration::from_secs(59));
}

#[test]
fn m31_restart_restores_leases_by_the_policy() {
    for (policy, left) in [(LeaseRestart::Full, 60), (LeaseRestart::Elapsed, 20)] {
        let options = Options { lease_restart: policy, ..Options::default() };
        let lab = Lab { options, ..Lab::new() };
        let store = lab.open();
        let lease = store.lease_grant(None, 60).expect("grants").id;
        leased(&store, "k", lease);
        drop(store);
        lab.clock.advance(Duration::from_secs(40));
        let store = lab.open();
        let info = store.lease(lease).expect("exists");
        assert_eq!((info.remaining, info.keys.len()), (Duration::from_secs(left), 1));
        lab.clock.advance(Duration::from_secs(left));
        assert_eq!(store.expire_leases().expect("expires"), 1);
        assert_eq!(get(&store, "k"), None);
    }
}

#[test]
fn m32_a_renewal_gives_the_full_time_again_and_none_to_the_expired() {
    let lab = Lab::new();
    let store = lab.open();
    let lease = store.lease_grant(None, 10).expect("grants").id;
    lab.clock.advance(Duration::from_secs(9));
    assert_eq!(store.lease_keep_alive(lease).expect("renews"), 10);
    lab.clock.advance(Duration::from_secs(9));
    assert_eq!(store.expire_leases().expect("expires"), 0);
    lab.clock.advance(Duration::from_secs(1));
    assert!(matches!(store.lease_keep_alive(lease), Err(Error::LeaseNotFound { .. })));
    assert_eq!(store.expire_leases().expect("expires"), 1);
    assert!(matches!(store.lease_keep_alive(lease), Err(Error::LeaseNotFound { .. })));
}

#[test]
fn a_clock_of_day_that_jumps_changes_nothing_while_the_store_is_open() {
    let lab = Lab::new();
    let store = lab.open();
    let lease = store.lease_grant(None, 10).expect("grants").id;
    lab.clock.set(cairn_types::Timestamp::from_micros(0));
    assert_eq!(store.expire_leases().expect("expires"), 0);
    assert!(store.lease(lease).expect("exists").remaining > Duration::ZERO);
}
