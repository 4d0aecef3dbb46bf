//! Untrusted text on a terminal: escapes the characters that a terminal acts on, and those that hide or reorder the
//! text around them. The console and the log print through it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text on one line, every dangerous character as `\uXXXX`. JSON keeps its meaning, since such characters occur
/// in its strings only.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_dangerous)
}

/// As [`one_line`], for a text that this program laid out in lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_dangerous(c))
}

/// As [`one_line`], for a text in which control characters are escaped already and colours are not.
pub(crate) fn coloured_line(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\u{1b}' && is_dangerous(c))
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len().saturating_add(16));
    for character in text.chars() {
        if is_escaped(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Whether a character is a control character or one of Unicode's format characters, which are invisible or change
/// the direction of the text. The joiner of emoji is allowed.
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fdd0}'..='\u{fdef}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{fffe}'
                | '\u{ffff}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn characters_that_a_terminal_acts_on_are_escaped() {
        for (text, safe) in [
            ("카메라 👩\u{200d}🔧 é", "카메라 👩\u{200d}🔧 é"),
            ("\u{1b}[2J\u{7}", "\\u001b[2J\\u0007"),
            ("\u{9b}31m\u{7f}", "\\u009b31m\\u007f"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\\u202eb\\u2066c\\u200f"),
            ("a\nb\tc\r", "a\\u000ab\\u0009c\\u000d"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(one_line(text), safe);
        }
        assert_eq!(lines("a\nb\r"), "a\nb\\u000d");
        assert_eq!(coloured_line("\u{1b}[2m\u{202e}"), "\u{1b}[2m\\u202e");
    }

    #[test]
    fn escaped_json_has_the_same_meaning() {
        let value = Value::String("\u{1b}\u{9b}\u{7f}\u{202e}\u{e0041}\"\\".to_owned());
        let safe = one_line(&value.to_string()).into_owned();
        assert!(safe.is_ascii(), "{safe}");
        assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), value);
    }
}
