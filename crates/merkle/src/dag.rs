//! The DAG.
