//! What a lane counted: `total: crashes=1500 recoveries=20 violations=0`, a line that every test
//! of the campaign prints at its end. Lines of the same lane are added up.

use std::fmt;

/// The count that is no work but a broken promise.
const VIOLATIONS: &str = "violations";

/// Counts by their names, in the order in which they were printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals(Vec<(String, u64)>);

impl Totals {
    /// All total lines in what a program printed; `None` when there is none.
    pub fn parse(printed: &str) -> Option<Self> {
        let mut found = None;
        for line in printed.lines() {
            // The test runner may have written the test's name before it.
            let Some((_, counts)) = line.split_once("total: ") else { continue };
            let mut totals = Self::default();
            for word in counts.split_whitespace() {
                let (name, count) = word.split_once('=')?;
                totals.add_one(name, count.parse().ok()?);
            }
            found.get_or_insert_with(Self::default).add(&totals);
        }
        found
    }

    pub fn add(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            self.add_one(name, *count);
        }
    }

    pub fn add_one(&mut self, name: &str, count: u64) {
        match self.0.iter_mut().find(|known| known.0 == name) {
            Some(known) => known.1 = known.1.saturating_add(count),
            None => self.0.push((name.to_owned(), count)),
        }
    }

    pub fn violations(&self) -> u64 {
        self.0.iter().filter(|known| known.0 == VIOLATIONS).map(|known| known.1).sum()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.iter().filter(|known| known.0 != VIOLATIONS);
        for (index, (name, count)) in counts.enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(formatter, "{comma}{} {}", grouped(*count), name.replace('_', " "))?;
        }
        Ok(())
    }
}

/// With a comma between thousands.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_lines_are_found_and_added_up() {
        let printed = "seed 7\ntest soak ... total: crashes=1500 in_recovery=20 violations=0\nok\n\
            total: crashes=1 violations=2 lives=3\n";
        let totals = Totals::parse(printed).expect("two lines");
        assert_eq!(totals.to_string(), "1,501 crashes, 20 in recovery, 3 lives");
        assert_eq!(totals.violations(), 2);
        let mut twice = totals.clone();
        twice.add(&totals);
        assert_eq!(twice.to_string(), "3,002 crashes, 40 in recovery, 6 lives");
    }

    #[test]
    fn what_is_no_total_counts_nothing() {
        assert_eq!(Totals::parse("skipped: no loop device"), None);
        assert_eq!(Totals::parse(""), None);
        assert_eq!(Totals::parse("total: crashes=many"), None);
        assert_eq!(Totals::parse("total: crashes"), None);
    }

    #[test]
    fn large_counts_are_readable() {
        let all = [0, 999, 1000, 50_000_000].map(grouped);
        assert_eq!(all, ["0", "999", "1,000", "50,000,000"]);
    }
}
