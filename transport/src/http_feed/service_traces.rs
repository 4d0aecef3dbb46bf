//! The part of a trace that another service has (`GET /internal/trace`).

use super::page_check::{verify_owner, verify_services};
use super::source_client::SourceClient;
use async_trait::async_trait;
use gdmarket_domain::Services;
use gdmarket_projections::{FeedError, LogPage, ServiceTraces, TraceQuery};
use std::fmt::Display;
use std::time::Duration;

#[async_trait]
impl ServiceTraces for SourceClient {
    fn services(&self) -> Services {
        Self::services(self)
    }

    async fn part(&self, query: &TraceQuery, within: Duration) -> Result<LogPage, FeedError> {
        let page = self.get(&format!("/internal/trace?{}", parameters(query)), within).await?;
        verify_services(self, &page)?;
        for delivery in &page.deliveries {
            verify_owner(self, &page, delivery)?;
        }
        Ok(page)
    }
}

fn parameters(query: &TraceQuery) -> String {
    match query {
        TraceQuery::Correlation(id) => format!("correlation={id}"),
        TraceQuery::Announcement(item) => format!("announcement={item}"),
        TraceQuery::Reservation { no, items, payments } => {
            let lists = list("items", items).into_iter().chain(list("payments", payments));
            std::iter::once(format!("reservation={no}")).chain(lists).collect::<Vec<_>>().join("&")
        }
    }
}

/// A parameter with these numbers; none if there are none.
fn list<'n>(
    name: &str,
    numbers: impl IntoIterator<Item = &'n (impl Display + 'n)>,
) -> Option<String> {
    let numbers: Vec<String> = numbers.into_iter().map(ToString::to_string).collect();
    (!numbers.is_empty()).then(|| format!("{name}={}", numbers.join(".")))
}
