//! A line for people, parts of which may have a tone. Rendering escapes the line, so no caller has to.

use crate::printable;
use anstyle::{AnsiColor, Style};
use std::fmt::Write as _;

/// The meaning of a part of a line, which is shown as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Faint,
}

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text(Vec<(Option<Tone>, String)>);

impl Text {
    /// Adds a part.
    #[must_use]
    pub(crate) fn then(mut self, part: impl Into<String>) -> Self {
        self.0.push((None, part.into()));
        self
    }

    /// Adds a part of this tone.
    #[must_use]
    pub(crate) fn toned(mut self, tone: Tone, part: impl Into<String>) -> Self {
        self.0.push((Some(tone), part.into()));
        self
    }

    /// The line as it is printed, without trailing blanks.
    pub(crate) fn render(&self, has_colour: bool) -> String {
        let mut line = String::new();
        let last = self.0.iter().rposition(|(_, part)| !part.trim_end().is_empty());
        let shown = last.map_or(0, |last| last.saturating_add(1));
        for (place, (tone, part)) in (1..).zip(self.0.iter().take(shown)) {
            let part = if place == shown { part.trim_end() } else { part };
            let safe = printable::one_line(part);
            let style = tone.filter(|_| has_colour).map_or_else(Style::new, Tone::style);
            // Writing to a string cannot fail; a plain style writes nothing around the text.
            let _ = write!(line, "{style}{safe}{style:#}");
        }
        line
    }
}

impl Tone {
    const fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Faint => Style::new().dimmed(),
        }
    }
}

impl From<&str> for Text {
    fn from(line: &str) -> Self {
        Self::default().then(line)
    }
}

impl From<String> for Text {
    fn from(line: String) -> Self {
        Self::default().then(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_of_data_never_reach_the_terminal() {
        let text = Text::from("a\u{1b}[31m ").toned(Tone::Faint, "b\nc").then("  ").then("");
        assert_eq!(text.render(true), "a\\u001b[31m \u{1b}[2mb\\u000ac\u{1b}[0m");
        assert_eq!(text.render(false), "a\\u001b[31m b\\u000ac");
    }
}
