//! What this process knows of the market now, as `/capabilities` shows it: services, circuit breakers, commands.

use crate::problem::kind::Language;
use chrono::{DateTime, SecondsFormat, Utc};
use gdmarket_app::{
    Availability, BreakerCondition, BreakerState, CommandOutlook, Hindrance, HindranceCause,
    MarketCondition, ServiceCondition,
};
use gdmarket_domain::Service;
use gdmarket_domain::service::PersonCommand;
use serde::Serialize;
use utoipa::ToSchema;

/// What this process knows of a service.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceCapability {
    /// `here`: in this process. `reachable`: it answered last time. `unreachable`: it doesn't answer. `refused`: it
    /// answers, and its events are refused. `unknown`: this process doesn't follow it, or hasn't asked yet.
    #[schema(value_type = String, example = "here")]
    state: &'static str,
    /// Since when it is unreachable or refused.
    #[schema(required)]
    since: Option<DateTime<Utc>>,
}

/// A circuit breaker.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BreakerCapability {
    /// `closed`: it admits every call. `halfOpen`: it admits a few probes. `open`: it admits none.
    #[schema(value_type = String, example = "closed")]
    state: &'static str,
    /// When an open breaker admits the next call.
    #[schema(required)]
    until: Option<DateTime<Utc>>,
}

/// Whether a command works now.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommandCapability {
    /// The service that takes the command.
    #[schema(value_type = String, example = "reservation")]
    service: &'static str,
    /// `works`: it is done as always. `accepted`: it is accepted, and settled once the missing service is back.
    /// `refused`: it is refused with 503 and `Retry-After`, and nothing is written. `notServedHere`: another process
    /// takes it.
    #[schema(value_type = String, example = "works")]
    now: &'static str,
    /// Why it isn't done as always.
    reasons: Vec<CommandHindrance>,
}

/// Why a command isn't done as always.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommandHindrance {
    /// The service that is missing.
    #[schema(value_type = String, example = "payment")]
    service: &'static str,
    /// `not-served-here`, `unreachable`, `events-refused` or `breaker-open`.
    #[schema(value_type = String, example = "unreachable")]
    code: &'static str,
    /// Since when.
    #[schema(required)]
    since: Option<DateTime<Utc>>,
    /// Until when at least.
    #[schema(required)]
    until: Option<DateTime<Utc>>,
    /// The same in a sentence, in Korean or English by `Accept-Language`.
    text: String,
}

impl From<ServiceCondition> for ServiceCapability {
    fn from(condition: ServiceCondition) -> Self {
        let (state, since) = match condition {
            ServiceCondition::Here => ("here", None),
            ServiceCondition::Reachable => ("reachable", None),
            ServiceCondition::Unreachable { since } => ("unreachable", Some(since)),
            ServiceCondition::Refused { since } => ("refused", Some(since)),
            ServiceCondition::Unknown => ("unknown", None),
        };
        Self { state, since }
    }
}

impl From<BreakerCondition> for BreakerCapability {
    fn from(BreakerCondition { state, until }: BreakerCondition) -> Self {
        let state = match state {
            BreakerState::Closed => "closed",
            BreakerState::HalfOpen => "halfOpen",
            BreakerState::Open => "open",
        };
        Self { state, until }
    }
}

impl CommandCapability {
    pub(super) fn new(
        command: PersonCommand,
        condition: &MarketCondition,
        language: Language,
    ) -> Self {
        let CommandOutlook { availability, hindrances } = condition.outlook(command);
        let now = match availability {
            Availability::Works => "works",
            Availability::Accepted => "accepted",
            Availability::Refused => "refused",
            Availability::NotServedHere => "notServedHere",
        };
        let reason = |hindrance: &Hindrance| CommandHindrance::new(hindrance, language);
        let reasons = hindrances.iter().map(reason).collect();
        Self { service: command.service().name(), now, reasons }
    }
}

impl CommandHindrance {
    fn new(hindrance: &Hindrance, language: Language) -> Self {
        let Hindrance { service, cause } = *hindrance;
        let (code, since, until) = match cause {
            HindranceCause::NotServedHere => ("not-served-here", None, None),
            HindranceCause::Unreachable { since } => ("unreachable", Some(since), None),
            HindranceCause::EventsRefused { since } => ("events-refused", Some(since), None),
            HindranceCause::BreakerOpen { until } => ("breaker-open", None, Some(until)),
        };
        let text = match language {
            Language::English => english(service, cause),
            Language::Korean => korean(service, cause),
        };
        Self { service: service.name(), code, since, until, text }
    }
}

fn english(service: Service, cause: HindranceCause) -> String {
    match cause {
        HindranceCause::NotServedHere => {
            format!("The {service} service takes this command, and it is not in this process.")
        }
        HindranceCause::Unreachable { since } => {
            format!("The {service} service has not been reachable since {}.", second(since))
        }
        HindranceCause::EventsRefused { since } => {
            let since = second(since);
            format!("The events of the {service} service have been refused since {since}.")
        }
        HindranceCause::BreakerOpen { until } => {
            let until = second(until);
            format!("The circuit breaker of calls to the {service} service is open until {until}.")
        }
    }
}

fn korean(service: Service, cause: HindranceCause) -> String {
    match cause {
        HindranceCause::NotServedHere => {
            format!("이 명령은 {service} 서비스가 받는데, 이 프로세스에는 그 서비스가 없어요.")
        }
        HindranceCause::Unreachable { since } => {
            format!("{service} 서비스에 {}부터 연결할 수 없어요.", second(since))
        }
        HindranceCause::EventsRefused { since } => {
            format!("{service} 서비스의 이벤트를 {}부터 받아들일 수 없어요.", second(since))
        }
        HindranceCause::BreakerOpen { until } => {
            let until = second(until);
            format!("{service} 서비스를 부르는 회로 차단기가 {until}까지 열려 있어요.")
        }
    }
}

fn second(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
