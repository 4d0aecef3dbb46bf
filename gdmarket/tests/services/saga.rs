//! The sagas of the market: what each begins with, the request that starts it, and how it may end.

use gdmarket_testkit::{Answer, MarketClient, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_mins(1);

/// A saga, by the command of a person that starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saga {
    Register,
    Reserve,
    Pay,
    CancelPayment,
    CancelReservation,
    Lend,
    Return,
    Delete,
}

/// What a saga is about; 0 is nothing yet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Subject {
    item: i64,
    reservation: i64,
}

/// A `POST`, and the number of the step of its command whose event is looked for.
#[derive(Debug, Clone)]
pub(crate) struct SagaRequest {
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) nth: u32,
}

impl Saga {
    pub(crate) const ALL: [Self; 8] = [
        Self::Register,
        Self::Reserve,
        Self::Pay,
        Self::CancelPayment,
        Self::CancelReservation,
        Self::Lend,
        Self::Return,
        Self::Delete,
    ];

    /// The service that takes its command.
    pub(crate) const fn service(self) -> &'static str {
        match self {
            Self::Register | Self::Lend | Self::Return | Self::Delete => "item",
            Self::Reserve | Self::Pay | Self::CancelPayment | Self::CancelReservation => {
                "reservation"
            }
        }
    }

    /// The sagas that come before it in a rental.
    const fn before(self) -> &'static [Self] {
        match self {
            Self::Register => &[],
            Self::Reserve | Self::Delete => &[Self::Register],
            Self::Pay => &[Self::Register, Self::Reserve],
            Self::CancelPayment | Self::CancelReservation | Self::Lend => {
                &[Self::Register, Self::Reserve, Self::Pay]
            }
            Self::Return => &[Self::Register, Self::Reserve, Self::Pay, Self::Lend],
        }
    }

    /// Brings a new item as far as this saga can begin.
    pub(crate) async fn prepare(self, market: &MarketClient) -> Subject {
        let mut subject = Subject::default();
        for earlier in self.before() {
            let request = earlier.request(subject);
            let answer = eventually(SOON, || async {
                let SagaRequest { path, body, .. } = request.clone();
                match market.send(Method::POST, &path, Some(body), None).await {
                    Ok(answer) if answer.status < 300 => Ok(answer),
                    other => Err(other),
                }
            })
            .await;
            match earlier {
                Self::Register => subject.item = answer.number("itemNo"),
                Self::Reserve => subject.reservation = answer.number("reservationNo"),
                _ => {}
            }
        }
        subject
    }

    /// The request that starts it.
    pub(crate) fn request(self, subject: Subject) -> SagaRequest {
        let Subject { item, reservation } = subject;
        let of_reservation =
            |action: &str| (format!("/reservations/{reservation}/{action}"), json!({}));
        let of_item = |action: &str| {
            (format!("/items/{item}/{action}"), json!({"reservationNo": reservation}))
        };
        let (path, body) = match self {
            Self::Register => {
                ("/items".to_owned(), json!({"itemName": "Camera", "itemPrice": 100}))
            }
            Self::Reserve => (
                "/reservations".to_owned(),
                json!({"customerId": 7, "customerName": "Renter", "itemNo": item}),
            ),
            Self::Pay => of_reservation("payment"),
            Self::CancelPayment => of_reservation("payment/cancel"),
            Self::CancelReservation => of_reservation("cancel"),
            Self::Lend => of_item("lend"),
            Self::Return => of_item("return"),
            Self::Delete => (format!("/items/{item}/delete"), json!({})),
        };
        SagaRequest { path, body, nth: u32::from(self == Self::Register) }
    }

    /// Done; a payment that was interrupted before it was sent may be taken for failed.
    pub(crate) fn assert_ended(self, answer: &Answer, key: &str) {
        let is_compensated = self == Self::Pay && answer.status == 402;
        assert!(answer.status < 300 || is_compensated, "{key}: {answer:?}");
    }
}
