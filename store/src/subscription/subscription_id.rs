//! The name of a subscription: its subscriber, and the log that it reads. The subscription of the process's own log has
//! the subscriber's name, that of another service's log also the service's: `subscriber`, `subscriber@service`.

use std::fmt;

/// Between the subscriber's name and the service's; in neither of them.
const SEPARATOR: char = '@';

/// A subscriber at one log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId {
    /// The view, with its version, or the process manager.
    pub subscriber: String,
    /// The service whose log it reads; `None` for the own log.
    pub source: Option<String>,
}

impl SubscriptionId {
    /// The subscription of a subscriber at the log of a service; `None` for the own log.
    pub fn new(subscriber: &str, source: Option<&str>) -> Self {
        Self { subscriber: subscriber.to_owned(), source: source.map(str::to_owned) }
    }

    /// The subscription of this name.
    pub fn parse(name: &str) -> Self {
        match name.split_once(SEPARATOR) {
            Some((subscriber, source)) => Self::new(subscriber, Some(source)),
            None => Self::new(name, None),
        }
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subscriber)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, "{SEPARATOR}{source}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_subscription_has_its_source_unless_that_is_the_own_log() {
        let names = [("acting", None), ("view_a_v4", Some("service"))];
        for (subscriber, source) in names {
            let id = SubscriptionId::new(subscriber, source);
            assert_eq!(SubscriptionId::parse(&id.to_string()), id);
        }
        assert_eq!(SubscriptionId::new("acting", None).to_string(), "acting");
        assert_eq!(SubscriptionId::new("acting", Some("other")).to_string(), "acting@other");
    }
}
