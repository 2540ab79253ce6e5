//! Trees of hashes: ct-merkle beside cairn-merkle's log (RFC 6962), jmt beside its map of keys.
//! All of them with SHA-256 and in memory.

mod log;
mod map;

use crate::measure::{Row, in_turn};
use crate::options::{Options, Sizes};
use anyhow::Result;
use log::{CtMerkle, Ours};
use map::{Jmt, OurMap};

/// Versions of a key-value tree in one update.
const UPDATE_LEN: u64 = 1000;

/// What is timed of both kinds of tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Append,
    Prove,
    Verify,
    ProveConsistency,
    VerifyConsistency,
    Update,
    ProveKey,
    VerifyKey,
    LogProofLen,
    KeyProofLen,
}

const LOG: [Work; 6] = [
    Work::Append,
    Work::Prove,
    Work::Verify,
    Work::ProveConsistency,
    Work::VerifyConsistency,
    Work::LogProofLen,
];
const MAP: [Work; 4] = [Work::Update, Work::ProveKey, Work::VerifyKey, Work::KeyProofLen];

impl Work {
    fn name(self, sizes: &Sizes) -> String {
        let (leaves, keys) = (sizes.record_count, sizes.key_count);
        match self {
            Self::Append => {
                format!("append {leaves} leaves of {} B, and the root", sizes.payload_len)
            }
            Self::Prove => format!("prove one of {leaves}"),
            Self::Verify => format!("verify one of {leaves}, leaf hashed"),
            Self::ProveConsistency => format!("prove that {leaves} begin with half of them"),
            Self::VerifyConsistency => format!("verify that {leaves} begin with half of them"),
            Self::Update => format!("update {UPDATE_LEN} of {keys} keys, and the root"),
            Self::ProveKey => format!("prove the newest value of one of {keys} keys"),
            Self::VerifyKey => format!("verify the newest value of one of {keys} keys"),
            Self::LogProofLen => format!("proof of one of {leaves}"),
            Self::KeyProofLen => format!("proof of the newest of {keys} keys"),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Append => "leaves",
            Self::Update => "keys",
            Self::LogProofLen | Self::KeyProofLen => "B",
            _ => "proofs",
        }
    }

    fn row(self, sizes: &Sizes) -> Row {
        let (log, base) = if LOG.contains(&self) {
            (
                ("ct-merkle", Ok("SHA-256, RFC 6962, in memory")),
                "SHA-256, RFC 6962, tiles in memory",
            )
        } else {
            (
                ("jmt", Ok("SHA-256, its store in memory")),
                "SHA-256, in memory; proves revision, history and place in the log, too",
            )
        };
        let mut row = Row::new(self.name(sizes), self.unit(), log, ("cairn-merkle", base));
        row.less = row.unit == "B";
        row.bar = (!row.less).then_some(1.0);
        row.limit = match self {
            Self::LogProofLen => Some(1000.0),
            Self::KeyProofLen => Some(2200.0),
            _ => None,
        };
        row
    }
}

/// Every row.
pub fn run(options: &Options) -> Result<Vec<Row>> {
    let sizes = &options.sizes;
    options.check_names(&["ct-merkle", "jmt"])?;
    let wanted = |work: &Work| work.name(sizes).contains(&options.work);
    let works = |name: &str, works: &[Work]| -> Vec<Work> {
        if options.wants(name) {
            works.iter().copied().filter(wanted).collect()
        } else {
            Vec::new()
        }
    };
    let mut rows = Vec::new();
    let (log, map) = (works("ct-merkle", &LOG), works("jmt", &MAP));
    rows.extend(compare(
        &log,
        options,
        &Ours::new(sizes),
        &CtMerkle::new(sizes),
        Ours::run,
        CtMerkle::run,
    )?);
    if !map.is_empty() {
        let (mut ours, mut theirs) = (OurMap::new(sizes)?, Jmt::new(sizes)?);
        let mut found: Vec<Row> = map.iter().map(|work| work.row(sizes)).collect();
        for round in 0..options.rounds {
            for (work, row) in map.iter().zip(&mut found) {
                let (a, b) = in_turn(round, || ours.run(*work, sizes), || theirs.run(*work, sizes));
                row.record(a, b);
            }
        }
        rows.extend(found);
    }
    Ok(rows)
}

fn compare<A, B>(
    works: &[Work],
    options: &Options,
    ours: &A,
    theirs: &B,
    run_ours: fn(&A, Work, &Sizes) -> Result<f64>,
    run_theirs: fn(&B, Work, &Sizes) -> Result<f64>,
) -> Result<Vec<Row>> {
    let sizes = &options.sizes;
    let mut rows: Vec<Row> = works.iter().map(|work| work.row(sizes)).collect();
    for round in 0..options.rounds {
        for (work, row) in works.iter().zip(&mut rows) {
            let (a, b) = in_turn(
                round,
                || run_ours(ours, *work, sizes),
                || run_theirs(theirs, *work, sizes),
            );
            row.record(a, b);
        }
    }
    Ok(rows)
}

/// A number below a count, from one before.
fn step(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*state >> 20) % below
}
