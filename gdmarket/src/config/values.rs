//! Parses the text of a setting as its value, or reports what the text must be.

use super::LogFormat;
use chrono_tz::Tz;
use figment::value::Value;
use gdmarket_domain::{Services, ServicesError};
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use url::Url;

/// The longest time of a setting: a day.
const MAX_MS: u64 = 86_400_000;

/// The value as it was written; `None` for a list or a table.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Bool(_, is) => Some(is.to_string()),
        Value::Char(_, one) => Some(one.to_string()),
        Value::Num(_, number) => number
            .to_u128()
            .map(|n| n.to_string())
            .or_else(|| number.to_i128().map(|n| n.to_string()))
            .or_else(|| number.to_f64().map(|n| n.to_string())),
        Value::Empty(..) => Some(String::new()),
        Value::Dict(..) | Value::Array(..) => None,
    }
}

/// Parses the text of a setting; the fault says what the text must be.
fn read<'de, D, T>(text: D, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    parse(&String::deserialize(text)?).map_err(D::Error::custom)
}

fn parsed<T: FromStr>(text: &str, fault: &str) -> Result<T, String> {
    text.parse().map_err(|_| fault.to_owned())
}

pub(super) fn address<'de, D: Deserializer<'de>>(text: D) -> Result<SocketAddr, D::Error> {
    read(text, |text| parsed(text, "must be an address and a port, like 127.0.0.1:8080"))
}

pub(super) fn time_zone<'de, D: Deserializer<'de>>(text: D) -> Result<Tz, D::Error> {
    read(text, |text| parsed(text, "must be a time zone, like Asia/Seoul"))
}

pub(super) fn flag<'de, D: Deserializer<'de>>(text: D) -> Result<bool, D::Error> {
    read(text, |text| parsed(text, "must be true or false"))
}

/// A whole number from `MIN` to `MAX`.
pub(super) fn within<'de, const MIN: u64, const MAX: u64, T, D>(text: D) -> Result<T, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    read(text, |text| {
        let number = text.parse().ok().filter(|number| (MIN..=MAX).contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("must be a whole number from {MIN} to {MAX}"))
    })
}

pub(super) fn millis<'de, const MIN: u64, D>(text: D) -> Result<Duration, D::Error>
where
    D: Deserializer<'de>,
{
    within::<MIN, MAX_MS, u64, D>(text).map(Duration::from_millis)
}

/// From a second to a year.
pub(super) fn seconds<'de, D: Deserializer<'de>>(text: D) -> Result<Duration, D::Error> {
    within::<1, 31_536_000, u64, D>(text).map(Duration::from_secs)
}

/// From an hour to a year.
pub(super) fn hours<'de, D: Deserializer<'de>>(text: D) -> Result<Duration, D::Error> {
    within::<1, 8_760, u64, D>(text).map(Duration::from_hours)
}

pub(super) fn share<'de, D: Deserializer<'de>>(text: D) -> Result<f64, D::Error> {
    read(text, |text| {
        let number = text.parse().ok().filter(|number: &f64| (0.0..=1.0).contains(number));
        number.ok_or_else(|| "must be a number from 0 to 1".to_owned())
    })
}

pub(super) fn folder<'de, D: Deserializer<'de>>(text: D) -> Result<PathBuf, D::Error> {
    read(text, |text| match text {
        "" => Err("must name a folder".to_owned()),
        text => Ok(PathBuf::from(text)),
    })
}

/// The path of a file, or none.
pub(super) fn optional_file<'de, D>(text: D) -> Result<Option<PathBuf>, D::Error>
where
    D: Deserializer<'de>,
{
    read(text, |text| Ok(Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty())))
}

pub(super) fn services<'de, D: Deserializer<'de>>(text: D) -> Result<Services, D::Error> {
    read(text, |text| text.parse().map_err(|error: ServicesError| error.to_string()))
}

/// The address of a service, or none. Its routes follow directly after it.
pub(super) fn service_url<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Url>, D::Error> {
    read(text, |text| {
        if text.is_empty() {
            return Ok(None);
        }
        let is_address = |url: &Url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
        };
        let url = Url::parse(text).ok().filter(is_address);
        url.map(Some).ok_or_else(|| {
            "must be the address of a service, like http://127.0.0.1:8082, without user, path or \
             query"
                .to_owned()
        })
    })
}

/// A value that may be absent.
pub(super) fn optional<'de, D, T>(text: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = Cow<'static, str>>,
{
    read(text, |text| match text {
        "" => Ok(None),
        text => T::from_str(text).map(Some).map_err(Cow::into_owned),
    })
}

pub(super) fn names<'de, D: Deserializer<'de>>(text: D) -> Result<Vec<String>, D::Error> {
    read(text, |text| Ok(list(text)))
}

pub(crate) fn list(text: &str) -> Vec<String> {
    let names = text.split(',').map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| !name.is_empty()).collect()
}

pub(super) fn log_filter<'de, D: Deserializer<'de>>(text: D) -> Result<String, D::Error> {
    read(text, |text| match text.parse::<EnvFilter>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("is no log filter: {error}")),
    })
}

pub(super) fn log_format<'de, D: Deserializer<'de>>(text: D) -> Result<LogFormat, D::Error> {
    read(text, |text| match text {
        "auto" => Ok(LogFormat::Auto),
        "json" => Ok(LogFormat::Json),
        "pretty" => Ok(LogFormat::Pretty),
        _ => Err("must be auto, json or pretty".to_owned()),
    })
}
