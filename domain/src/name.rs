//! The names of items and of people: one rule for every way in, HTTP and archives alike.
//!
//! A name is one line of visible text. It is normalised to NFC, so that the same text is the same
//! name however it was typed, then trimmed and counted. It holds nothing that can't be seen or that
//! changes the direction of the text around it.

use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{
    GeneralCategory, GeneralCategoryGroup, UnicodeEmoji as _, UnicodeGeneralCategory as _,
};

/// The longest name, in characters after normalising and trimming.
pub const MAX_NAME: usize = 100;

/// Joins emoji into one picture.
const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing in it can be seen.
    #[error("a name has at least one visible character")]
    Empty,
    /// More than [`MAX_NAME`] characters.
    #[error("a name has at most 100 characters")]
    TooLong,
    /// A control character, a line end among them.
    #[error("a name has no control characters")]
    ControlCharacter,
    /// A character that can't be seen, or that changes the direction of the text.
    #[error("a name has no invisible character (U+{:04X})", u32::from(*.0))]
    Invisible(char),
}

/// The name that this text stands for.
pub fn checked_name(text: &str) -> Result<String, NameError> {
    let normalised: String = text.nfc().collect();
    let name = normalised.trim();
    let mut length = 0_usize;
    let mut is_visible = false;
    let mut before = None;
    let mut rest = name.chars().peekable();
    while let Some(character) = rest.next() {
        length = length.saturating_add(1);
        if length > MAX_NAME {
            return Err(NameError::TooLong);
        }
        if character == ZERO_WIDTH_JOINER {
            let joins = before.is_some_and(is_emoji) && rest.peek().copied().is_some_and(is_emoji);
            if !joins {
                return Err(NameError::Invisible(character));
            }
            continue;
        }
        check(character)?;
        is_visible |= can_be_seen(character);
        if !is_part_of_the_emoji_before(character) {
            before = Some(character);
        }
    }
    if is_visible { Ok(name.to_owned()) } else { Err(NameError::Empty) }
}

/// The rule of versions before [`checked_name`]: 1 to [`MAX_NAME`] characters after trimming, none of them
/// a control character. Logs of those versions hold such names.
pub fn check_name_of_earlier_versions(text: &str) -> Result<(), NameError> {
    let name = text.trim();
    if name.is_empty() {
        Err(NameError::Empty)
    } else if name.chars().any(char::is_control) {
        Err(NameError::ControlCharacter)
    } else if name.chars().count() > MAX_NAME {
        Err(NameError::TooLong)
    } else {
        Ok(())
    }
}

fn check(character: char) -> Result<(), NameError> {
    let category = character.general_category();
    let has_no_shape = matches!(
        category,
        GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::Surrogate
    );
    if category == GeneralCategory::Control {
        Err(NameError::ControlCharacter)
    } else if has_no_shape || is_filler(character) || is_noncharacter(character) {
        Err(NameError::Invisible(character))
    } else {
        Ok(())
    }
}

/// Characters whose category is a visible one and that are drawn as nothing: the fillers of scripts,
/// and what else Unicode lists as ignorable by default.
const fn is_filler(character: char) -> bool {
    matches!(
        character,
        '\u{034f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2065}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0d}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{fffc}'
            | '\u{16fe4}'
            | '\u{1d159}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn is_noncharacter(character: char) -> bool {
    matches!(character, '\u{fdd0}'..='\u{fdef}') || u32::from(character) & 0xfffe == 0xfffe
}

/// Letters, digits, punctuation and symbols; not marks, blanks, or what isn't assigned.
fn can_be_seen(character: char) -> bool {
    matches!(
        character.general_category_group(),
        GeneralCategoryGroup::Letter
            | GeneralCategoryGroup::Number
            | GeneralCategoryGroup::Punctuation
            | GeneralCategoryGroup::Symbol
    )
}

/// Whether it is a picture by itself; digits only take part in pictures.
fn is_emoji(character: char) -> bool {
    character.is_emoji_char() && !character.is_ascii()
}

/// The variation selector and the skin tones, which follow what they change.
const fn is_part_of_the_emoji_before(character: char) -> bool {
    matches!(character, '\u{fe0e}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_trimmed_and_counted() {
        assert_eq!(checked_name("  카메라 "), Ok("카메라".to_owned()));
        let pieces: String =
            "한글".chars().flat_map(|c| c.to_string().nfd().collect::<Vec<_>>()).collect();
        assert_eq!(pieces.chars().count(), 6);
        assert_eq!(checked_name(&pieces.repeat(50)), Ok("한글".repeat(50)));
        assert_eq!(checked_name(&"가".repeat(101)), Err(NameError::TooLong));
        for empty in ["", "\t\n", "\u{a0}\u{3000}", "\u{301}", "\u{fe0f}", "\u{2028}"] {
            assert_eq!(checked_name(empty), Err(NameError::Empty), "{empty:?}");
        }
    }

    #[test]
    fn control_characters_are_refused() {
        for text in ["a\0b", "a\u{85}b", "a\tb", "a\nb", "a\u{1b}[31mb"] {
            assert_eq!(checked_name(text), Err(NameError::ControlCharacter), "{text:?}");
        }
    }

    #[test]
    fn invisible_characters_are_refused() {
        for hidden in [
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{206f}',
            '\u{2800}',
            '\u{3164}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffe}',
            '\u{1d159}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{10ffff}',
        ] {
            let refused = Err(NameError::Invisible(hidden));
            assert_eq!(checked_name(&format!("a{hidden}b")), refused, "{hidden:?}");
            let alone = checked_name(&hidden.to_string());
            assert!(alone == refused || alone == Err(NameError::Empty), "{hidden:?}: {alone:?}");
        }
    }

    #[test]
    fn earlier_versions_accepted_invisible_characters_and_no_control_characters() {
        for name in ["a\u{200b}b", "\u{202e}a", "\u{3164}", &"\u{958}".repeat(100), "카메라"] {
            assert_eq!(check_name_of_earlier_versions(name), Ok(()), "{name:?}");
        }
        for (text, fault) in [
            (" ", NameError::Empty),
            ("a\u{1b}[31m", NameError::ControlCharacter),
            ("a\u{85}b", NameError::ControlCharacter),
            (&"a".repeat(101), NameError::TooLong),
        ] {
            assert_eq!(check_name_of_earlier_versions(text), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn emoji_of_several_characters_are_names() {
        for name in [
            "👨\u{200d}👩\u{200d}👧 카메라",
            "❤\u{fe0f}\u{200d}🔥",
            "👩🏽\u{200d}⚕\u{fe0f}",
            "🏳\u{fe0f}\u{200d}🌈",
            "1\u{fe0f}\u{20e3}",
            "🇰🇷",
            "نظارات",
            "कैमरा",
        ] {
            assert_eq!(checked_name(name), Ok(name.to_owned()), "{name:?}");
        }
        for text in [
            "1\u{200d}2",
            "#\u{200d}👧",
            "a\u{200d}👧",
            "👧\u{200d}",
            "\u{200d}👧",
            "👧\u{200d}\u{200d}👧",
        ] {
            assert!(matches!(checked_name(text), Err(NameError::Invisible(_))), "{text:?}");
        }
    }
}
