//! Graphs from the command line, as a user drives them.

use crate::{run, stdout};
use serde_json::Value;

#[test]
fn a_graph_is_imported_walked_read_as_it_was_and_checked() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("writes");
        path.to_str().expect("text").to_owned()
    };
    let run = |arguments: &[&str]| run(dir.path(), arguments);
    let nodes = file("nodes.csv", "id,kind\nA,x\nB,x\nC,x\n");
    let edges = file("edges.csv", "src,dst,km\nA,B,1\nB,C,1\nA,C,5\n");
    let text = stdout(&run(&["graph", "import", "--nodes", &nodes, "--edges", &edges, "--json"]));
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&report["vertices"], &report["edges"]), (&3.into(), &3.into()));
    let before = report["revision"].to_string();

    assert_eq!(stdout(&run(&["graph", "path", "A", "C"])), "A -> C  (1)\n");
    assert_eq!(stdout(&run(&["graph", "path", "A", "C", "--weight", "km"])), "A -> B -> C  (2)\n");
    let found = stdout(&run(&["graph", "neighbors", "C", "--direction", "in", "--json"]));
    let found: Vec<Value> =
        found.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let direct = found.iter().find(|found| found["name"] == "A").expect("A leads to C");
    let edge = direct["edge"].as_str().expect("an id");
    stdout(&run(&["graph", "remove", edge]));
    assert_eq!(stdout(&run(&["graph", "path", "A", "C"])), "A -> B -> C  (2)\n");
    assert_eq!(stdout(&run(&["graph", "path", "A", "C", "--rev", &before])), "A -> C  (1)\n");

    assert_eq!(run(&["graph", "remove", "B", "--vertex"]).status.code(), Some(2));
    stdout(&run(&["graph", "remove", "B", "--vertex", "--cascade"]));
    assert_eq!(run(&["graph", "path", "A", "C"]).status.code(), Some(1));
    assert_eq!(run(&["graph", "neighbors", "B"]).status.code(), Some(1));
    assert_eq!(
        stdout(&run(&["graph", "neighbors", "A", "--hops", "2", "--rev", &before])).lines().count(),
        2
    );
    let some = run(&["graph", "neighbors", "A", "--limit", "1", "--rev", &before]);
    assert!(String::from_utf8_lossy(&some.stderr).contains("there is more"));
    assert_eq!(stdout(&some).lines().count(), 1);
    let all = run(&["graph", "neighbours", "A", "--limit", "2", "--rev", &before]);
    assert!(all.stderr.is_empty(), "{}", String::from_utf8_lossy(&all.stderr));
    assert_eq!(stdout(&all).lines().count(), 2);
    stdout(&run(&["graph", "add-vertex", "D", "--label", "new", "--prop", "n=4"]));
    stdout(&run(&["graph", "add-edge", "A", "D", "--label", "to", "--prop", "km=2"]));
    assert_eq!(run(&["graph", "add-edge", "A", "nowhere"]).status.code(), Some(1));
    assert!(stdout(&run(&["graph", "stats"])).contains("edges 1\n"));
    assert!(stdout(&run(&["graph", "stats", "--rev", &before])).contains("edges 3\n"));
    assert!(stdout(&run(&["graph", "check"])).contains("agree"));
    assert_eq!(run(&["graph", "stats", "-g", "none"]).status.code(), Some(1));

    let wrong = file("wrong.csv", "src,dst\nA,D\nA,nowhere\n");
    let output = run(&["graph", "import", "--edges", &wrong]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 3"));
    stdout(&run(&["del", "--keyspace", "graph.default", "--prefix", "\u{12}"]));
    assert_eq!(run(&["graph", "check"]).status.code(), Some(3), "what somebody deleted is noticed");
}
