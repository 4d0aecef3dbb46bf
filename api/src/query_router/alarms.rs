//! Reading alarms.

use super::QueryState;
use super::listed::{Listed, Statuses};
use super::resource_routes::{list_route, member_route};
use crate::extract::path::AlarmNumber;
use crate::resource::FoundBody;
use gdmarket_projections::{
    AlarmBody, AlarmStatus, Filter, Page, PageRequest, Queries, QueryError,
};
use utoipa_axum::router::OpenApiRouter;

pub(super) fn router() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new()
        .routes(list_route::<AlarmBody>("listAlarms", "What was announced about items."))
        .routes(member_route::<AlarmBody>(
            "getAlarm",
            "What was announced about one item.",
            "The alarm.",
        ))
}

impl Listed for AlarmBody {
    type Number = AlarmNumber;
    const COLLECTION: &'static str = "alarms";
    const NUMBER: &'static str = "alarmNo";
    const NUMBER_DESCRIPTION: &'static str = "The alarm: its item's number.";
    const STATUSES: Statuses = AlarmStatus::WORDS;

    async fn find(
        queries: &Queries,
        AlarmNumber(no): AlarmNumber,
    ) -> Result<Option<FoundBody<Self>>, QueryError> {
        queries.alarm(no).await
    }

    async fn list(
        queries: &Queries,
        filter: &Filter,
        page: PageRequest,
    ) -> Result<Page<FoundBody<Self>>, QueryError> {
        queries.alarms(filter, page).await
    }
}
