//! The same promises on every file system, and the faulty one's own.

mod same_everywhere;
mod simulated;
