//! The lanes of the campaign.

/// What a lane runs.
#[derive(Debug, Clone, Copy)]
pub enum Job {
    /// A test that goes on for `CAIRN_SOAK_SECONDS` with seeds from `CAIRN_SEED` on, run again
    /// and again for as long as its time lasts.
    Seeds { package: &'static str, test: &'static str },
    /// A test that takes the lane's time in one go.
    Once { package: &'static str, test: &'static str },
    /// Every fuzz target.
    Fuzz,
}

/// One part of the campaign.
#[derive(Debug, Clone, Copy)]
pub struct Lane {
    pub name: &'static str,
    /// Its part of the time, beside the others.
    pub share: u32,
    pub job: Job,
}

impl Lane {
    pub fn package(&self) -> Option<&'static str> {
        match self.job {
            Job::Seeds { package, .. } | Job::Once { package, .. } => Some(package),
            Job::Fuzz => None,
        }
    }
}

const fn seeds(name: &'static str, share: u32, package: &'static str, test: &'static str) -> Lane {
    Lane { name, share, job: Job::Seeds { package, test } }
}

const fn once(name: &'static str, share: u32, package: &'static str, test: &'static str) -> Lane {
    Lane { name, share, job: Job::Once { package, test } }
}

/// All of them, those first that end early when something is badly wrong.
pub const ALL: &[Lane] = &[
    once(
        "countdown",
        1,
        "cairn-tests",
        "countdown::every_operation_fails_once_and_for_ever_and_nothing_acknowledged_is_lost",
    ),
    once("countdown-keys", 1, "cairn-tests", COUNTDOWN_KEYS),
    once("flips", 4, "cairn-tests", "flips::every_flipped_bit_is_found_or_changes_no_answer"),
    seeds("log", 8, "cairn-tests", "soak::soak"),
    seeds(
        "keys",
        8,
        "cairn-mvcc",
        "crashes::m33_after_any_crash_the_state_is_a_prefix_of_what_was_acknowledged_or_tried",
    ),
    seeds("overlapping", 4, "cairn-mvcc", OVERLAPPING),
    seeds(
        "cleaning",
        4,
        "cairn-mvcc",
        "cleaning::after_a_crash_at_any_step_of_cleaning_nothing_acknowledged_is_missing",
    ),
    seeds(
        "cleaning-unsynced",
        2,
        "cairn-mvcc",
        "cleaning::cleaning_never_takes_what_only_unsynced_records_have_hidden",
    ),
    seeds(
        "tables",
        4,
        "cairn-lsm",
        "crashes::after_any_crash_the_acknowledged_batches_are_there_and_no_half_of_another",
    ),
    seeds(
        "together",
        8,
        "cairn-engine",
        "together::after_crashes_amid_all_of_it_every_value_reads_or_was_asked_to_go",
    ),
    seeds(
        "erasure",
        2,
        "cairn-engine",
        "erasure::after_a_crash_at_any_step_what_was_erased_is_in_no_file_and_old_heads_hold",
    ),
    seeds("subjects", 2, "cairn-engine", SUBJECTS),
    seeds(
        "proofs",
        2,
        "cairn-engine",
        "proof_crashes::no_signed_head_is_lost_and_the_tree_is_rebuilt_after_any_crash",
    ),
    seeds(
        "graph",
        2,
        "cairn-graph",
        "crashes::after_any_crash_both_directions_and_all_indexes_agree",
    ),
    seeds("kills", 4, "cairn-ctl", "acknowledged_events_survive_kill_9"),
    seeds("key-kills", 4, "cairn-tests", KEY_KILLS),
    seeds(
        "power-cuts",
        8,
        "cairn-ctl",
        "kernel::acknowledged_events_survive_power_cuts_on_a_real_file_system",
    ),
    seeds(
        "key-power-cuts",
        8,
        "cairn-tests",
        "many_keys::acknowledged_keys_survive_power_cuts_on_a_real_file_system",
    ),
    Lane { name: "fuzz", share: 24, job: Job::Fuzz },
    once("mixed", 16, "cairn-tests", "mixed::soak_of_a_mixed_load_names_the_reason_of_every_stall"),
];

const COUNTDOWN_KEYS: &str =
    "countdown_keys::every_operation_fails_while_keys_are_kept_and_nothing_acknowledged_is_lost";
const OVERLAPPING: &str =
    "overlapping::m33_writes_that_overlap_are_a_prefix_after_any_crash_and_what_was_seen_lasts";
const SUBJECTS: &str =
    "subjects::after_a_crash_at_any_step_shredded_subjects_are_gone_and_all_others_read";
const KEY_KILLS: &str =
    "many_keys::soak_keys_beyond_memory_survive_kill_9_and_are_those_of_the_source";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_lane_has_a_name_of_its_own_and_some_of_the_time() {
        let names: BTreeSet<_> = ALL.iter().map(|lane| lane.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|lane| lane.share > 0));
    }

    #[test]
    fn every_test_that_a_lane_names_is_there() {
        for lane in ALL {
            let (Job::Seeds { package, test } | Job::Once { package, test }) = lane.job else {
                continue;
            };
            let (module, function) = test.rsplit_once("::").unwrap_or(("main", test));
            let dir = package.trim_start_matches("cairn-");
            let dir = if package == "cairn-tests" { package } else { dir };
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates");
            let path = format!("{root}/{dir}/tests/{module}.rs");
            let source = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
            assert!(source.contains(&format!("fn {function}()")), "{path}: {function}");
        }
    }
}
