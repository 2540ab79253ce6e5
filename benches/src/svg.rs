//! Bars: a small picture of a table, the same bytes for the same figures, readable on light and dark.

use crate::measure::Row;
use crate::report::{distinct, short};
use std::fmt::Write as _;

const COLUMNS: usize = 3;
const PANEL_WIDTH: usize = 320;
const LABEL_WIDTH: usize = 118;
const BAR_WIDTH: usize = 128;
const LINE_HEIGHT: usize = 14;
const GAP: usize = 18;

/// Letters and bars take mid tones, which show on white and on black; where a viewer tells what
/// it likes, they follow.
const STYLE: &str = "\
text{font:11px system-ui,sans-serif;fill:#6e7781}
.h{font-weight:600;fill:#57606a}
.c{fill:#2f81f7}.o{fill:#8c959f}
@media(prefers-color-scheme:dark){text{fill:#9198a1}.h{fill:#d1d7e0}.o{fill:#656c76}}";

/// One bar: who, how much, whether it is Cairn's.
type Bar = (String, f64, bool);

/// One panel for each kind of work, one bar for each engine, the longest the greatest figure.
pub fn bars(title: &str, rows: &[Row]) -> String {
    let panels: Vec<(String, Vec<Bar>)> = distinct(rows.iter().map(|row| row.work.as_str()))
        .into_iter()
        .filter_map(|work| panel(work, rows))
        .collect();
    let (mut body, mut top) = (String::new(), 0);
    for line in panels.chunks(COLUMNS) {
        let height = line.iter().map(|(_, bars)| bars.len()).max().unwrap_or(0);
        for (at, (work, bars)) in line.iter().enumerate() {
            draw(&mut body, at * PANEL_WIDTH, top, work, bars);
        }
        top += (height + 1) * LINE_HEIGHT + GAP;
    }
    let width = PANEL_WIDTH * COLUMNS.min(panels.len().max(1));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{top}\" \
         viewBox=\"0 0 {width} {top}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         {body}</svg>\n",
        escaped(title)
    )
}

/// The bars of one kind of work; none when nothing was measured.
fn panel(work: &str, rows: &[Row]) -> Option<(String, Vec<Bar>)> {
    let of_work: Vec<&Row> = rows.iter().filter(|row| row.work == work).collect();
    let mut bars = Vec::new();
    for base in distinct(of_work.iter().map(|row| row.base.as_str())) {
        let rounds = of_work.iter().filter(|row| row.base == base).flat_map(|row| &row.rounds);
        let spread = crate::measure::Spread::of(rounds.map(|(cairn, _)| *cairn));
        bars.extend(spread.map(|spread| (base.to_owned(), spread.median, true)));
    }
    for row in &of_work {
        bars.extend(row.other().map(|spread| (row.log.clone(), spread.median, false)));
    }
    let first = of_work.first()?;
    let unit = if first.less {
        format!("{} (less is better)", first.unit)
    } else {
        format!("{}/s", first.unit)
    };
    (!bars.is_empty()).then(|| (format!("{work}: {unit}"), bars))
}

fn draw(out: &mut String, left: usize, top: usize, heading: &str, bars: &[Bar]) {
    let greatest = bars.iter().map(|(_, figure, _)| *figure).fold(f64::MIN_POSITIVE, f64::max);
    let base = top + 11;
    let _ = writeln!(
        out,
        "<text class=\"h\" x=\"{left}\" y=\"{base}\">{}</text>",
        escaped(&cut(heading, 43))
    );
    for (line, (name, figure, is_cairn)) in (1..).zip(bars) {
        let y = top + line * LINE_HEIGHT;
        // A bar that would vanish keeps a pixel.
        let len = (figure / greatest * BAR_WIDTH as f64).max(1.0);
        let (bar, base) = (left + LABEL_WIDTH, y + 11);
        let class = if *is_cairn { "c" } else { "o" };
        let end = bar as f64 + len + 4.0;
        let _ = writeln!(
            out,
            "<text x=\"{left}\" y=\"{base}\">{}</text><rect class=\"{class}\" x=\"{bar}\" \
             y=\"{}\" width=\"{len:.1}\" height=\"10\"/><text x=\"{end:.1}\" y=\"{base}\">{}</text>",
            escaped(&cut(name, 19)),
            y + 2,
            short(*figure)
        );
    }
}

fn cut(text: &str, len: usize) -> String {
    if text.chars().count() <= len {
        return text.to_owned();
    }
    let kept: String = text.chars().take(len - 1).collect();
    format!("{}…", kept.trim_end())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{Row, bars};

    #[test]
    fn a_picture_has_a_bar_for_each_engine_and_is_the_same_each_time() {
        let mut row = Row::new("get < hit", "keys", ("redb", Ok("")), ("cairn", ""));
        row.rounds = vec![(2e6, 1e6), (4e6, 1e6)];
        let picture = bars("a title", &[row.clone()]);
        assert_eq!(picture.matches("<rect").count(), 2);
        assert!(picture.contains("get &lt; hit: keys/s"));
        assert!(picture.contains("3.00 M"), "the middle of the rounds");
        assert_eq!(picture, bars("a title", &[row]));
    }
}
