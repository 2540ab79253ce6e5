//! Figures for whoever watches an engine, through the facade of the crate `metrics`. Without
//! the feature `metrics` everything here is empty and costs nothing. Derived.
//!
//! Handles are made when an engine is opened, for the recorder that is installed then: counting
//! is one addition. The names and their meaning stand in `docs/operations.md`.

#[cfg(feature = "metrics")]
mod handles {
    pub(crate) use metrics::{Counter, Gauge};

    pub(super) fn counter(name: &'static str, about: &'static str) -> Counter {
        metrics::describe_counter!(name, about);
        metrics::counter!(name)
    }

    pub(super) fn gauge(name: &'static str, about: &'static str) -> Gauge {
        metrics::describe_gauge!(name, about);
        metrics::gauge!(name)
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

    /// Shows nothing.
    #[derive(Debug)]
    pub(crate) struct Gauge;

    impl Gauge {
        pub(crate) const fn set(&self, _: f64) {}
    }

    pub(super) const fn counter(_: &'static str, _: &'static str) -> Counter {
        Counter
    }

    pub(super) const fn gauge(_: &'static str, _: &'static str) -> Gauge {
        Gauge
    }
}

use handles::{Counter, Gauge, counter, gauge};

use crate::{Engine, Result};

/// What an engine counts and shows.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) events_appended: Counter,
    pub(crate) events_repeated: Counter,
    pub(crate) events_read: Counter,
    pub(crate) key_reads: Counter,
    pub(crate) key_writes: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) leases_expired: Counter,
    pub(crate) commands_applied: Counter,
    pub(crate) commands_refused: Counter,
    log_bytes: Gauge,
    log_segments: Gauge,
    free_bytes: Gauge,
    quota_bytes: Gauge,
    revision: Gauge,
    versions: Gauge,
    leases: Gauge,
    topics: Gauge,
    keyspaces: Gauge,
    position: Gauge,
}

impl Figures {
    pub(crate) fn new() -> Self {
        Self {
            events_appended: counter("cairn_events_appended_total", "Events stored"),
            events_repeated: counter(
                "cairn_events_repeated_total",
                "Events that had been stored before",
            ),
            events_read: counter("cairn_events_read_total", "Events handed to readers"),
            key_reads: counter("cairn_key_reads_total", "Reads of keys and ranges"),
            key_writes: counter("cairn_key_writes_total", "Writes and transactions on keys"),
            conflicts: counter("cairn_transaction_conflicts_total", "Commits that met a conflict"),
            leases_expired: counter("cairn_leases_expired_total", "Leases ended by the clock"),
            commands_applied: counter("cairn_commands_applied_total", "Commands applied"),
            commands_refused: counter("cairn_commands_refused_total", "Commands refused"),
            log_bytes: gauge("cairn_log_bytes", "Bytes of batches in the log"),
            log_segments: gauge("cairn_log_segments", "Segments of the log"),
            free_bytes: gauge("cairn_disk_free_bytes", "Bytes free on the disk"),
            quota_bytes: gauge("cairn_log_quota_bytes", "Quota of the log, 0 for none"),
            revision: gauge("cairn_key_revision", "Current revision"),
            versions: gauge("cairn_key_versions", "Versions of keys in memory or in tables"),
            leases: gauge("cairn_leases", "Leases"),
            topics: gauge("cairn_topics", "Topics"),
            keyspaces: gauge("cairn_keyspaces", "Keyspaces"),
            position: gauge("cairn_applied_position", "Position of the newest command applied"),
        }
    }
}

impl Engine {
    /// Shows the engine's gauges as they are now to the recorder of the crate `metrics` that
    /// was installed when the engine was opened; [`maintain`](Self::maintain) does it, too.
    /// Without the feature `metrics` this does nothing.
    ///
    /// # Errors
    /// What cannot be asked of the file system.
    #[expect(clippy::cast_precision_loss, reason = "gauges are shown, not reckoned with")]
    pub fn publish_metrics(&self) -> Result<()> {
        if !cfg!(feature = "metrics") {
            return Ok(());
        }
        let figures = &self.shared.figures;
        let segments = self.log().segment_stats()?;
        let free = self.log().vfs().free_space().map_err(cairn_segment::Error::from)?;
        let keys = self.keys().stats();
        let log_len: u64 = segments.iter().map(|segment| segment.len).sum();
        figures.log_bytes.set(log_len as f64);
        figures.log_segments.set(segments.len() as f64);
        figures.free_bytes.set(free as f64);
        figures.quota_bytes.set(self.log().config().quota_bytes.unwrap_or(0) as f64);
        figures.revision.set(keys.revision as f64);
        figures.versions.set(keys.version_count as f64);
        figures.leases.set(keys.lease_count as f64);
        let view = self.view();
        figures.topics.set(view.topics.len() as f64);
        figures.keyspaces.set(view.keyspaces.len() as f64);
        figures.position.set(view.command as f64);
        Ok(())
    }
}
