//! The two files of a run: one for people, one for programs.

use std::fmt::Write as _;

use crate::machine::Fact;
use crate::measure::Spread;
use crate::work::{Figures, Sizes, WORKS};
use crate::{by_hand, cairn};

pub struct Report<'a> {
    pub facts: &'a [Fact],
    pub sizes: &'a Sizes,
    /// Cairn and the other, round by round.
    pub rounds: &'a [(Figures, Figures)],
}

/// What both promise in a row.
fn promises(work: &str) -> (&'static str, &'static str) {
    match work {
        work if work.starts_with("load") => (cairn::LOAD, by_hand::LOAD),
        work if work.ends_with("synced") => (cairn::CHANGE, by_hand::CHANGE),
        _ => ("-", "-"),
    }
}

impl Report<'_> {
    fn spreads(&self, work: usize) -> Option<(Spread, Spread, Spread)> {
        let ours = Spread::of(self.rounds.iter().map(|(ours, _)| ours[work]))?;
        let other = Spread::of(self.rounds.iter().map(|(_, other)| other[work]))?;
        let ratio = Spread::of(self.rounds.iter().map(|(ours, other)| ours[work] / other[work]))?;
        Some((ours, other, ratio))
    }

    pub fn markdown(&self) -> String {
        let mut out = String::from("# A graph beside one laid out by hand on redb\n\n");
        for (name, value) in self.facts {
            let _ = writeln!(out, "- {name}: {value}");
        }
        let Sizes { vertices, edges } = self.sizes;
        let rounds = self.rounds.len();
        let _ = writeln!(
            out,
            "- {vertices} vertices, {edges} edges between random ones, each with one number; \
             {rounds} rounds\n\n\
             Figures are per second, the middle of all rounds (least - greatest). In every round \
             both did everything, on fresh directories, one after the other; the one that begins \
             changes. The ratio (Cairn by the other) is the middle of the rounds' ratios: above 1 \
             Cairn is faster, or smaller.\n\n\
             | work | what the other promises | by hand on redb | what Cairn promises | cairn-graph \
             | ratio |\n|---|---|---|---|---|---|"
        );
        for (index, (work, unit)) in WORKS.iter().enumerate() {
            let Some((ours, other, ratio)) = self.spreads(index) else { continue };
            let (our_promise, their_promise) = promises(work);
            let Spread { min, median, max } = ratio;
            let _ = writeln!(
                out,
                "| {work} | {their_promise} | {} {unit} | {our_promise} | {} {unit} \
                 | {median:.2} ({min:.2} - {max:.2}) |",
                rates(other),
                rates(ours)
            );
        }
        out.push_str(
            "\nBy hand: a key at the source with the number, a key at the target, a key by id; both \
             ends are looked up before an edge is written. It has no revisions, labels of one \
             byte, no indexes, no feed and no proofs. Cairn runs with its defaults but for the \
             durability of the load.\n",
        );
        out
    }

    pub fn csv(&self) -> String {
        let mut out = String::from(
            "work,unit,other,promise,median,min,max,cairn,cairn_promise,cairn_median,cairn_min,\
             cairn_max,ratio_median,ratio_min,ratio_max,rounds\n",
        );
        for (index, (work, unit)) in WORKS.iter().enumerate() {
            let Some((ours, other, ratio)) = self.spreads(index) else { continue };
            let (our_promise, their_promise) = promises(work);
            let _ = writeln!(
                out,
                "\"{work}\",\"{unit}\",\"by hand on redb\",\"{their_promise}\",{},\"cairn-graph\",\
                 \"{our_promise}\",{},{},{}",
                numbers(other),
                numbers(ours),
                numbers(ratio),
                self.rounds.len()
            );
        }
        out
    }
}

fn numbers(Spread { min, median, max }: Spread) -> String {
    format!("{median:.4},{min:.4},{max:.4}")
}

fn rates(Spread { min, median, max }: Spread) -> String {
    format!("{} ({} - {})", short(median), short(min), short(max))
}

fn short(rate: f64) -> String {
    match rate {
        r if r >= 1e6 => format!("{:.2} M", r / 1e6),
        r if r >= 1e5 => format!("{:.0} K", r / 1e3),
        r if r >= 1e3 => format!("{:.1} K", r / 1e3),
        r if r >= 1.0 => format!("{r:.1}"),
        r => format!("{r:.4}"),
    }
}
