//! Open steps as a table of at most 100 columns, with a line below each step that failed.

use crate::output::text::{Text, Tone};
use gdmarket_projections::SagaRow;

/// The widest line.
const WIDTH: usize = 100;
const HEADINGS: [&str; 6] = ["saga", "state", "step", "waits for", "age", "deadline"];

/// The lines of the table.
pub(super) fn lines(rows: &[SagaRow]) -> Vec<Text> {
    let cells: Vec<[String; 6]> = rows.iter().map(cells).collect();
    let mut widths = HEADINGS.map(|heading| heading.chars().count());
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut lines =
        vec![Text::default().toned(Tone::Faint, line(&HEADINGS.map(str::to_owned), widths))];
    for (row, cells) in rows.iter().zip(&cells) {
        lines.push(line(cells, widths).into());
        if let Some(error) = &row.error {
            let state = row.parked.first().map_or("failed", |of| of.parked.state.as_str());
            let error = cut(&format!("    {state}: {error}"), WIDTH);
            lines.push(Text::default().toned(Tone::Bad, error));
        }
    }
    lines
}

fn cells(row: &SagaRow) -> [String; 6] {
    [
        row.saga.clone(),
        row.state.unwrap_or("–").to_owned(),
        row.step.to_owned(),
        row.waits_for.to_owned(),
        duration(row.age_seconds),
        deadline(row),
    ]
}

fn line(cells: &[String; 6], widths: [usize; 6]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    let line = padded.collect::<Vec<_>>().join("  ");
    cut(line.trim_end(), WIDTH)
}

/// When something happens by itself, seen from now; or the last day on which a person may do it.
fn deadline(row: &SagaRow) -> String {
    match (row.deadline, row.last_day) {
        (Some(deadline), _) => {
            let left = (deadline - row.since).num_seconds() - row.age_seconds;
            from_now(left)
        }
        (None, Some(day)) => day.to_string(),
        (None, None) => "–".to_owned(),
    }
}

/// A time that is so many seconds away.
pub(super) fn from_now(seconds: i64) -> String {
    if seconds < 0 {
        format!("{} ago", duration(seconds.saturating_neg()))
    } else {
        format!("in {}", duration(seconds))
    }
}

/// A duration in its largest unit.
pub(super) fn duration(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        172_800.. => format!("{}d", seconds / 86_400),
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_in_their_largest_unit() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_599, "59m"),
            (3_600, "1h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (86_400_000, "1000d"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!((from_now(0), from_now(-61)), ("in 0s".to_owned(), "1m ago".to_owned()));
    }

    #[test]
    fn longest_names_fit_the_table() {
        let widest = [
            "reservation/12345678",
            "CancellationPending",
            "record-late-approval",
            "reservation",
            "1000d",
            "2027-01-08",
        ];
        let widths = widest.map(|cell| cell.chars().count());
        let line = line(&widest.map(str::to_owned), widths);
        assert!(!line.contains('…') && line.chars().count() <= WIDTH, "{line}");
        assert_eq!(cut(&"x".repeat(120), WIDTH).chars().count(), WIDTH);
    }
}
