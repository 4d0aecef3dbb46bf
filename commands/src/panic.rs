//! What is told of a panic that was caught.

use std::any::Any;

/// What a caught panic says of itself, for a log.
pub fn told_by_panic(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_in_its_own_words() {
        assert_eq!(told_by_panic(&"as it stands"), "panicked: as it stands");
        assert_eq!(told_by_panic(&"with 1 value".to_owned()), "panicked: with 1 value");
        assert_eq!(told_by_panic(&7), "panicked: no message");
    }
}
