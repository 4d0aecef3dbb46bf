//! Reading payments.

use super::QueryState;
use super::listed::{Listed, Statuses};
use super::resource_routes::{list_route, member_route};
use crate::resource::FoundBody;
use gdmarket_domain::PaymentNo;
use gdmarket_projections::{
    Filter, Page, PageRequest, PaymentBody, PaymentProgress, Queries, QueryError,
};
use utoipa_axum::router::OpenApiRouter;

pub(super) fn router() -> OpenApiRouter<QueryState> {
    OpenApiRouter::new()
        .routes(list_route::<PaymentBody>("listPayments", "The attempts to pay."))
        .routes(member_route::<PaymentBody>("getPayment", "One attempt to pay.", "The attempt."))
}

impl Listed for PaymentBody {
    type Number = PaymentNo;
    const COLLECTION: &'static str = "payments";
    const NUMBER: &'static str = "paymentNo";
    const NUMBER_DESCRIPTION: &'static str = "The attempt.";
    const STATUSES: Statuses = PaymentProgress::WORDS;

    async fn find(queries: &Queries, no: PaymentNo) -> Result<Option<FoundBody<Self>>, QueryError> {
        queries.payment(no).await
    }

    async fn list(
        queries: &Queries,
        filter: &Filter,
        page: PageRequest,
    ) -> Result<Page<FoundBody<Self>>, QueryError> {
        queries.payments(filter, page).await
    }
}
