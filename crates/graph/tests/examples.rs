//! The examples run, and do what they say.

#[expect(dead_code, reason = "its `main` is for running it alone")]
#[path = "../examples/as_of.rs"]
mod as_of;
#[expect(dead_code, reason = "its `main` is for running it alone")]
#[path = "../examples/combined.rs"]
mod combined;
#[expect(dead_code, reason = "its `main` is for running it alone")]
#[path = "../examples/transactions.rs"]
mod transactions;

#[test]
fn graph_with_transactions() {
    transactions::run().expect("runs");
}

#[test]
fn combined_graph_storage() {
    combined::run().expect("runs");
}

#[test]
fn graph_as_of_a_revision() {
    as_of::run().expect("runs");
}
