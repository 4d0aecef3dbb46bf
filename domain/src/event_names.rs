//! Events as the log names them: each wire name is written once, in the `rename` of its variant.

use serde::de::DeserializeOwned;

/// The events of one aggregate, by their wire names.
pub trait EventNames: DeserializeOwned {
    /// The wire names of all variants, in the order of the enum.
    const NAMES: &'static [&'static str];
}

/// The wire names of all variants of an aggregate's events.
pub const fn event_names_of<E: EventNames>() -> &'static [&'static str] {
    E::NAMES
}

/// Declares the events of one aggregate.
///
/// The enum is passed on to serde as it is written. From each variant's `rename` come the names that
/// cqrs-es and [`EventNames`] know, and from `stream` the accessor of the number that every variant
/// carries. The version is the first one, and one more for each upcasting step of the event.
macro_rules! events {
    (
        $(#[doc = $about:literal])+
        #[stream($number:ident: $Number:ty)]
        pub enum $Event:ident {
            $(
                $(#[doc = $meaning:literal])+
                #[serde(rename = $name:literal)]
                $Variant:ident { $($field:ident: $Type:ty),+ $(,)? },
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(rename_all_fields = "camelCase")]
        pub enum $Event {
            $(
                $(#[doc = $meaning])+
                #[serde(rename = $name)]
                $Variant { $($field: $Type),+ },
            )+
        }

        impl $Event {
            /// The number of the stream that the event belongs to.
            pub const fn $number(&self) -> $Number {
                match self {
                    $(Self::$Variant { $number, .. })|+ => *$number,
                }
            }
        }

        impl $crate::event_names::EventNames for $Event {
            const NAMES: &'static [&'static str] = &[$($name),+];
        }

        impl ::cqrs_es::DomainEvent for $Event {
            fn event_type(&self) -> String {
                match self {
                    $(Self::$Variant { .. } => $name,)+
                }
                .to_owned()
            }

            fn event_version(&self) -> String {
                let event_type = self.event_type();
                $crate::upcast::current_version($crate::upcast::STEPS, &event_type).to_string()
            }
        }
    };
}

pub(crate) use events;
