//! kotoba: an LSM store, transactions, a Merkle DAG, graphs, a Redis in front. There, the log was
//! never replayed and cut by the next put, merges revived old values, and a commit only set a
//! flag. Its usage examples are here as tests; sessions, the hybrid store and values with a time
//! to live are examples of `cairn-cache`, which its tests run against a real Redis.

use std::sync::Arc;

use super::engine;
use cairn_cache::RedisClient;
use cairn_cache::backend::{CacheBackend, Delivery, MemoryCache};
use cairn_graph::{Edge, Graph, Vertex, VertexId};
use cairn_lsm::{LsmOptions, LsmTree, TreeOptions};
use cairn_merkle::dag::Node;
use cairn_mvcc::{Isolation, Put};
use cairn_segment::LogConfig;
use cairn_types::Durability;
use cairn_vfs::{MemVfs, SeededRng, SimConfig, SimVfs};

fn small(disk: &SimVfs) -> LsmTree {
    let log = LogConfig {
        durability: Durability::Sync,
        segment_size: 64 << 10,
        background: false,
        ..LogConfig::default()
    };
    let tree = TreeOptions {
        memory_len: 2 << 10,
        flush_len: 1 << 10,
        block_len: 256,
        table_len: 2 << 10,
        level_len: 4 << 10,
        flushed_max: 2,
        ..TreeOptions::default()
    };
    let rng = Arc::new(SeededRng::new(1));
    LsmTree::open_on(Arc::new(disk.clone()), rng, LsmOptions { log, tree }).expect("opens")
}

#[test]
fn write_kill_reopen_overwrite_merge_and_read() {
    let disk = SimVfs::new(9, SimConfig::default());
    let key = |n: u32| format!("key{n:03}");
    let tree = small(&disk);
    for n in 0..200 {
        tree.put(key(n).as_bytes(), b"old").expect("puts");
    }
    disk.power_crash();
    drop(tree);
    let tree = small(&disk);
    for n in 0..100 {
        tree.put(key(n).as_bytes(), b"new").expect("puts");
    }
    for n in 50..60 {
        tree.delete(key(n).as_bytes()).expect("deletes");
    }
    tree.merge_all().expect("merges");
    disk.power_crash();
    drop(tree);
    let tree = small(&disk);
    for n in 0..200 {
        let expected: Option<&[u8]> = match n {
            50..60 => None,
            0..100 => Some(b"new"),
            _ => Some(b"old"),
        };
        assert_eq!(tree.get(key(n).as_bytes()).expect("reads").as_deref(), expected, "{n}");
    }
}

#[test]
fn a_commit_commits_and_what_is_dropped_or_conflicts_does_not() {
    let engine = engine(&MemVfs::new());
    engine.create_keyspace("k").expect("creates");
    let (store, space) = (engine.keys(), engine.keyspace("k").expect("there").stream());
    let mut kept = store.begin(Isolation::Serializable);
    kept.put(space, "a", "1");
    kept.commit().expect("commits");
    let mut dropped = store.begin(Isolation::Serializable);
    dropped.put(space, "a", "2");
    drop(dropped);
    let mut late = store.begin(Isolation::Serializable);
    assert_eq!(late.get(space, "a").expect("reads").as_deref(), Some(&b"1"[..]));
    late.put(space, "b", "3");
    store.put(Put::new(space, "a", "4")).expect("puts");
    assert!(late.commit().is_err(), "what it read has changed");
    assert_eq!(store.value(space, b"a").expect("reads").as_deref(), Some(&b"4"[..]));
    assert_eq!(store.value(space, b"b").expect("reads"), None);
}

#[test]
fn nodes_are_named_by_their_hash_and_walked_from_a_root() {
    let engine = engine(&MemVfs::new());
    let dag = engine.dag().expect("opens");
    let leaf = dag.add_node(&Node::new("a block")).expect("adds");
    let root = Node::new("a tree").with_link("child", leaf, 7);
    let root = dag.add_node(&root).expect("adds");
    dag.set_root("main", Some(&root)).expect("names");
    assert_eq!(dag.get_node(&leaf).expect("reads").data, "a block");
    assert_eq!(dag.add_node(&Node::new("a block")).expect("adds"), leaf, "the same bytes");
    assert!(dag.verify_integrity(&[root], 100).expect("walks").is_whole());
}

#[test]
fn a_graph_keys_and_nodes_change_together_and_are_read_as_they_were() {
    let engine = engine(&MemVfs::new());
    let graph = Graph::open(&engine, "people").expect("opens");
    engine.create_keyspace("profiles").expect("creates");
    let profiles = engine.keyspace("profiles").expect("there");
    let (ann, bob) = (VertexId::named("ann"), VertexId::named("bob"));
    let knows = graph.fresh_edge_id();
    let written = graph
        .transact(|tx| {
            for id in [ann, bob] {
                tx.add_vertex(&Vertex::new(id).label("person")?)?;
                tx.transaction().put(&profiles, id.to_string(), "a profile");
            }
            tx.add_edge(&Edge::new(knows, ann, bob, "knows")?)
        })
        .expect("commits");
    graph.remove_edge(knows).expect("removes");
    assert!(graph.now().edge(knows).expect("reads").is_none());
    assert!(graph.at(written.revision).expect("then").edge(knows).expect("reads").is_some());
    assert_eq!(profiles.key_count().expect("counts"), 2);
    assert!(graph.check().expect("checks").is_intact());
}

/// What a graph tells of a change, through a channel.
async fn published(cache: Arc<dyn CacheBackend>) {
    let engine = engine(&MemVfs::new());
    let graph = Graph::open(&engine, "people").expect("opens");
    let mut feed = graph.changes(0).expect("watches");
    let mut listener = cache.subscribe("graph").await.expect("listens");
    let ann = VertexId::named("ann");
    let added = graph.transact(|tx| tx.add_vertex(&Vertex::new(ann).label("person")?));
    added.expect("commits");
    let batch = feed.try_next().expect("reads").expect("a change");
    cache.publish("graph", batch.to_json().to_string().into()).await.expect("publishes");
    let Some(Delivery::Message(message)) = listener.next().await else { panic!("no message") };
    let told = String::from_utf8(message.to_vec()).expect("text");
    assert!(told.contains("vertex_created") && told.contains(&ann.to_string()), "{told}");
}

#[test]
fn updates_of_a_graph_are_published_and_heard() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(published(Arc::new(MemoryCache::default())));
    let Some(server) = super::redis_server::RedisServer::start() else { return };
    runtime.block_on(async {
        let client = RedisClient::new(&server.url()).expect("an address");
        published(client.backend()).await;
    });
}
