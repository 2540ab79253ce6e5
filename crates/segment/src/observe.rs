//! Figures for whoever watches a log, through the facade of the crate `metrics`. Without the
//! feature `metrics` everything here is empty and costs nothing. Derived.
//!
//! Handles are made when a log is opened, for the recorder that is installed then: counting is
//! one addition. The names and their meaning stand in `docs/operations.md`.

#[cfg(feature = "metrics")]
mod handles {
    pub(crate) use metrics::{Counter, Histogram};

    pub(super) fn counter(name: &'static str, about: &'static str) -> Counter {
        metrics::describe_counter!(name, about);
        metrics::counter!(name)
    }

    pub(super) fn seconds(name: &'static str, about: &'static str) -> Histogram {
        metrics::describe_histogram!(name, metrics::Unit::Seconds, about);
        metrics::histogram!(name)
    }
}

#[cfg(not(feature = "metrics"))]
mod handles {
    /// Counts nothing.
    #[derive(Debug)]
    pub(crate) struct Counter;

    impl Counter {
        pub(crate) const fn increment(&self, _: u64) {}
    }

    /// Records nothing.
    #[derive(Debug)]
    pub(crate) struct Histogram;

    impl Histogram {
        pub(crate) const fn record(&self, _: f64) {}
    }

    pub(super) const fn counter(_: &'static str, _: &'static str) -> Counter {
        Counter
    }

    pub(super) const fn seconds(_: &'static str, _: &'static str) -> Histogram {
        Histogram
    }
}

use handles::{Counter, Histogram, counter, seconds};

/// Whether anything is counted: clocks are read only then.
pub(crate) const ENABLED: bool = cfg!(feature = "metrics");

/// What a log counts.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) batches: Counter,
    pub(crate) records: Counter,
    pub(crate) written_bytes: Counter,
    pub(crate) syncs: Counter,
    pub(crate) sync_seconds: Histogram,
    pub(crate) sealed_segments: Counter,
    pub(crate) dropped_segments: Counter,
    pub(crate) cleaned_records: Counter,
    pub(crate) refused_for_space: Counter,
    pub(crate) poisoned: Counter,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            batches: counter("cairn_log_batches_total", "Batches appended"),
            records: counter("cairn_log_records_total", "Records appended"),
            written_bytes: counter("cairn_log_written_bytes_total", "Bytes of batches appended"),
            syncs: counter("cairn_log_syncs_total", "Syncs of segments"),
            sync_seconds: seconds("cairn_log_sync_seconds", "Time of a sync"),
            sealed_segments: counter("cairn_log_sealed_segments_total", "Segments sealed"),
            dropped_segments: counter("cairn_log_dropped_segments_total", "Segments dropped"),
            cleaned_records: counter(
                "cairn_log_cleaned_records_total",
                "Records erased or dropped by cleaning",
            ),
            refused_for_space: counter(
                "cairn_log_refused_for_space_total",
                "Writes refused because the disk is full or a limit is reached",
            ),
            poisoned: counter("cairn_log_poisoned_total", "Logs that stopped taking writes"),
        }
    }
}
