//! The connection between two services with a log each: it carries calls to the commands of the other one, and loses what
//! a test wants lost.

use crate::market::{Market, options};
use async_trait::async_trait;
use gdmarket_commands::{
    AlarmAnswer, AttemptAnswer, CallContext, CommandError, CommandMeta, CommandOptions, Commands,
    OtherServices, PaymentAttempt, RemoteAlarmService, RemotePaymentService, ServiceCallError,
};
use gdmarket_domain::{ItemNo, Service, Services};
use gdmarket_testkit::TestDb;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to the next calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Works,
    /// No connection comes about.
    Refused,
    /// The request is lost on the way.
    LosesRequest,
    /// The call is done, and its answer is lost.
    LosesAnswer,
}

/// The line to a service. Questions that change nothing have a line of their own.
pub(crate) struct ServiceLink {
    callee: Commands,
    line: Mutex<Line>,
    questions: Mutex<Line>,
    sent: AtomicUsize,
}

impl ServiceLink {
    pub(crate) fn to(callee: &Commands) -> Arc<Self> {
        Arc::new(Self {
            callee: callee.clone(),
            line: Mutex::new(Line::Works),
            questions: Mutex::new(Line::Works),
            sent: AtomicUsize::new(0),
        })
    }

    pub(crate) fn set(&self, line: Line) {
        *self.line.lock().unwrap() = line;
    }

    pub(crate) fn set_questions(&self, line: Line) {
        *self.questions.lock().unwrap() = line;
    }

    /// How often a command was sent.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    async fn carry<T>(
        line: Line,
        call: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, ServiceCallError> {
        let lost = || ServiceCallError::NoAnswer("lost".to_owned());
        match line {
            Line::Refused => Err(ServiceCallError::NotReached("refused".to_owned())),
            Line::LosesRequest => Err(lost()),
            Line::Works => call.await.map_err(|error| answered(&error)),
            Line::LosesAnswer => {
                call.await.map_err(|error| answered(&error))?;
                Err(lost())
            }
        }
    }

    fn command_line(&self) -> Line {
        self.sent.fetch_add(1, Ordering::SeqCst);
        *self.line.lock().unwrap()
    }
}

/// The problem of an error as HTTP answers it.
fn answered(error: &CommandError) -> ServiceCallError {
    let (code, retry_after) = match error {
        CommandError::Unavailable { retry_after, .. } => {
            ("payment-unavailable", Some(*retry_after))
        }
        CommandError::KeyReused => ("key-reused", None),
        other => panic!("{other}"),
    };
    ServiceCallError::Refused { code: code.to_owned(), cause: error.to_string(), retry_after }
}

/// As the meta arrives at the other service.
fn received(meta: &CommandMeta) -> CommandMeta {
    let context = CallContext::of(meta);
    context.into_meta(meta.command_id, meta.traceparent.clone()).unwrap()
}

#[async_trait]
impl RemoteAlarmService for ServiceLink {
    async fn raise(
        &self,
        item_no: ItemNo,
        within: Duration,
        meta: &CommandMeta,
    ) -> Result<AlarmAnswer, ServiceCallError> {
        let meta = received(meta);
        Self::carry(self.command_line(), self.callee.raise_alarm(item_no, within, &meta)).await
    }
}

#[async_trait]
impl RemotePaymentService for ServiceLink {
    async fn admission(&self, _within: Duration) -> Result<(), ServiceCallError> {
        let line = *self.questions.lock().unwrap();
        Self::carry(line, self.callee.admit_attempt()).await
    }

    async fn attempt(
        &self,
        attempt: &PaymentAttempt,
        within: Duration,
        meta: &CommandMeta,
    ) -> Result<AttemptAnswer, ServiceCallError> {
        let (attempt, meta) = (*attempt, received(meta));
        Self::carry(self.command_line(), self.callee.attempt_payment(attempt, within, &meta)).await
    }

    async fn outcome(
        &self,
        attempt: &PaymentAttempt,
        within: Duration,
    ) -> Result<AttemptAnswer, ServiceCallError> {
        let line = *self.questions.lock().unwrap();
        Self::carry(line, self.callee.payment_outcome(*attempt, within)).await
    }
}

/// A market of two processes: one has this service alone, the other one the rest.
pub(crate) struct TwoLogs {
    /// The process without the service.
    pub(crate) caller: Market,
    /// The process with the service.
    pub(crate) callee: Market,
    pub(crate) link: Arc<ServiceLink>,
    _callee_db: TestDb,
}

impl TwoLogs {
    /// The caller is on the test's database, the service on SQLite.
    pub(crate) async fn open(db: &TestDb, service: Service) -> Self {
        let own = Services::of(&[service]);
        let service_db = TestDb::sqlite();
        let options_of_service = CommandOptions { services: own, ..options() };
        let service_market = Market::open_with(&service_db, options_of_service).await;
        let link = ServiceLink::to(&service_market.commands);
        let others = OtherServices {
            alarm: Some(Arc::<ServiceLink>::clone(&link)),
            payment: Some(Arc::<ServiceLink>::clone(&link)),
        };
        let services = Services::ALL.without(own);
        let caller = CommandOptions { services, other_services: others, ..options() };
        let caller = Market::open_with(db, caller).await;
        Self { caller, callee: service_market, link, _callee_db: service_db }
    }

    pub(crate) async fn close(self) {
        self.caller.close().await;
        self.callee.close().await;
    }
}
