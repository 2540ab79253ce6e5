//! What a hybrid store counts. Derived.

use std::sync::atomic::{AtomicU64, Ordering};

/// Figures of a hybrid store since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Reads answered by the local tier.
    pub local_hits: u64,
    /// Reads answered by the backend.
    pub backend_hits: u64,
    /// Reads answered by the engine.
    pub misses: u64,
    /// Of all answers, those that said that there is no such key.
    pub absent: u64,
    /// Remembered values that were not served since the engine had a newer one.
    pub stale_refused: u64,
    /// Reads that waited for another one of the same key.
    pub joined: u64,
    /// Values handed to the backend after a read.
    pub fills: u64,
    /// Changes handed to the backend.
    pub changes: u64,
    /// Calls of the backend that failed.
    pub backend_errors: u64,
    /// Reads that did not ask the backend since it was resting.
    pub skipped: u64,
    /// How often the backend was left alone.
    pub breaker_opened: u64,
    /// Times that the backend was begun anew, since what it knew could not be relied on.
    pub epochs: u64,
    /// Revisions that the backend is behind the engine.
    pub lag: u64,
}

/// One counter: an addition here, and one for the recorder of the crate `metrics`.
pub(crate) struct Count {
    count: AtomicU64,
    #[cfg(feature = "metrics")]
    shown: metrics::Counter,
}

impl std::fmt::Debug for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

impl Count {
    #[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "names for a recorder"))]
    fn new(name: &'static str, about: &'static str) -> Self {
        #[cfg(feature = "metrics")]
        metrics::describe_counter!(name, about);
        Self {
            count: AtomicU64::new(0),
            #[cfg(feature = "metrics")]
            shown: metrics::counter!(name),
        }
    }

    pub(crate) fn add(&self, count: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        self.shown.increment(count);
    }

    pub(crate) fn get(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// All counters.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) local_hits: Count,
    pub(crate) backend_hits: Count,
    pub(crate) misses: Count,
    pub(crate) absent: Count,
    pub(crate) stale_refused: Count,
    pub(crate) joined: Count,
    pub(crate) fills: Count,
    pub(crate) changes: Count,
    pub(crate) backend_errors: Count,
    pub(crate) skipped: Count,
    pub(crate) epochs: Count,
}

impl Figures {
    pub(crate) fn new() -> Self {
        Self {
            local_hits: Count::new("cairn_cache_local_hits_total", "Reads the local tier answered"),
            backend_hits: Count::new(
                "cairn_cache_backend_hits_total",
                "Reads the backend answered",
            ),
            misses: Count::new("cairn_cache_misses_total", "Reads the engine answered"),
            absent: Count::new("cairn_cache_absent_total", "Answers that there is no such key"),
            stale_refused: Count::new("cairn_cache_stale_refused_total", "Old values not served"),
            joined: Count::new("cairn_cache_joined_total", "Reads that waited for another one"),
            fills: Count::new("cairn_cache_fills_total", "Values handed to the backend by reads"),
            changes: Count::new("cairn_cache_changes_total", "Changes handed to the backend"),
            backend_errors: Count::new("cairn_cache_backend_errors_total", "Failed calls"),
            skipped: Count::new("cairn_cache_skipped_total", "Reads that left the backend alone"),
            epochs: Count::new("cairn_cache_epochs_total", "Times the backend was begun anew"),
        }
    }

    pub(crate) fn stats(&self, breaker_opened: u64, lag: u64) -> CacheStats {
        #[cfg(feature = "metrics")]
        #[expect(clippy::cast_precision_loss, reason = "gauges are shown, not reckoned with")]
        metrics::gauge!("cairn_cache_lag_revisions").set(lag as f64);
        CacheStats {
            local_hits: self.local_hits.get(),
            backend_hits: self.backend_hits.get(),
            misses: self.misses.get(),
            absent: self.absent.get(),
            stale_refused: self.stale_refused.get(),
            joined: self.joined.get(),
            fills: self.fills.get(),
            changes: self.changes.get(),
            backend_errors: self.backend_errors.get(),
            skipped: self.skipped.get(),
            breaker_opened,
            epochs: self.epochs.get(),
            lag,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The names that stand between two of these marks.
    fn names(text: &str, mark: char) -> BTreeSet<&str> {
        let begins = |name: &&str| name.starts_with(concat!("cairn", "_cache_"));
        text.split(mark).filter(begins).collect()
    }

    #[test]
    fn every_metric_is_a_row_of_the_manual() {
        let source = names(include_str!("figures.rs"), '"');
        let manual = include_str!("../../../docs/operations.md");
        let rows = manual.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let manual = rows.filter(|name| name.starts_with(concat!("cairn", "_cache_"))).collect();
        assert!(source.len() >= 12, "{source:?}");
        assert_eq!(source, manual);
    }
}
