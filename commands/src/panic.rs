//! The message of a panic that was caught.

use std::any::Any;

/// The message of a caught panic, for a log.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_of_a_panic_is_kept() {
        assert_eq!(panic_message(&"a text"), "panicked: a text");
        assert_eq!(panic_message(&"with 1 value".to_owned()), "panicked: with 1 value");
        assert_eq!(panic_message(&7), "panicked: no message");
    }
}
