//! A process is killed at each step of each saga: before and after each of its appends, after each batch of reactions of
//! each process manager, and around each call of alarm and payment provider. Once it runs again, and the caller repeats
//! the request, the saga ends done or fully compensated.
//!
//! The steps aren't listed: a step's failpoint is let pass 0, 1, 2 … times, until the saga is through without reaching
//! it once more. `scripts/test --long` goes through all of them, an everyday run through some that it draws.

use crate::saga::{Saga, Subject};
use crate::verified_market::VerifiedMarket;
use gdmarket_domain::ManagerName;
use gdmarket_testkit::{Engine, SERVICES, SplitMarketOptions, run, seeded_rng, size, times};
use rand::RngExt as _;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
/// A saga ends within 15 seconds on a machine that does nothing else; this is how long a busy one may take.
const ENDS_WITHIN: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(20);

/// The failpoints around calls of other parties, in the service that calls.
const CALLS: [(&str, &[&str]); 3] = [
    ("item", &["commands.after-alert", "commands.after-alarm"]),
    ("reservation", &["commands.after-intent"]),
    (
        "payment",
        &[
            "commands.before-confirm",
            "commands.after-confirm",
            "commands.before-refund",
            "commands.after-refund",
        ],
    ),
];

/// A kind of step in one process.
#[derive(Debug, Clone)]
struct Step {
    process: String,
    failpoint: String,
}

impl Step {
    fn new(process: &str, failpoint: &str) -> Self {
        Self { process: process.to_owned(), failpoint: failpoint.to_owned() }
    }

    /// All kinds of steps of a market.
    async fn all(market: &VerifiedMarket) -> Vec<Self> {
        let mut steps = vec![];
        for (process, db) in market.processes.databases() {
            let mut add = |failpoint: &str| steps.push(Self::new(process, failpoint));
            add("store.before-append");
            add("store.after-commit");
            let is_here = |service: &str| process.split(',').any(|own| own == service);
            let calls = CALLS.into_iter().filter(|(service, _)| is_here(service));
            calls.flat_map(|(_, calls)| calls).for_each(|call| add(call));
            for subscription in db.views_texts("SELECT subscription FROM checkpoints").await {
                let subscriber = subscription.split('@').next().unwrap_or_default();
                if ManagerName::ALL.iter().any(|manager| manager.name() == subscriber) {
                    add(&format!("manager.reacted@{subscription}"));
                    add(&format!("manager.checkpoint@{subscription}"));
                }
            }
        }
        steps
    }
}

/// Starts the saga with a process that dies at this step, and ends it after the process was started again. Returns how
/// long it took after that, or `None` if the saga went through without reaching the step so often.
async fn crash(
    market: &mut VerifiedMarket,
    saga: Saga,
    subject: Subject,
    step: &Step,
    passed: u32,
) -> Option<Duration> {
    let action = if passed == 0 { "return".to_owned() } else { format!("{passed}*off->return") };
    market.set_failpoints(&step.process, &format!("{}={action}", step.failpoint)).await;
    let key = format!("{saga:?}-{}-{}-{passed}", step.process, step.failpoint);
    let mut request = Some(market.spawn_request(saga.request(subject), &key));
    let deadline = Instant::now() + ENDS_WITHIN;
    let mut restarted = None;
    loop {
        if restarted.is_none() && !market.processes.is_running(&step.process) {
            market.set_failpoints(&step.process, "").await;
            restarted = Some(Instant::now());
        }
        if request.as_ref().is_some_and(tokio::task::JoinHandle::is_finished) {
            let answer = request.take().unwrap().await.unwrap();
            saga.assert_ended(&answer, &key);
        }
        let open = market.open().await;
        if request.is_none() && open.is_empty() {
            // The last step may have ended it just now.
            if restarted.is_some() || market.processes.is_running(&step.process) {
                return restarted.map(|at| at.elapsed());
            }
        }
        assert!(Instant::now() < deadline, "{key}: {request:?} {open:?}");
        sleep(PAUSE).await;
    }
}

async fn start(options: SplitMarketOptions) -> VerifiedMarket {
    let market = VerifiedMarket::start(options.variable("GDMARKET__PAYMENT__TIMEOUT_MS", "500"));
    market.await
}

/// Each step of each saga, as often as the saga reaches it.
async fn crash_at_every_step(options: SplitMarketOptions) {
    let mut market = start(options).await;
    let (mut crashes, mut slowest) = (0, Duration::ZERO);
    let steps = Step::all(&market).await;
    for saga in Saga::ALL {
        for step in &steps {
            for passed in 0.. {
                let subject = saga.prepare(&market.client).await;
                market.settle().await;
                let took = crash(&mut market, saga, subject, step, passed).await;
                let Some(took) = took else { break };
                println!("{saga:?}: {step:?} after {passed}: ended after {took:?}");
                (crashes, slowest) = (crashes + 1, slowest.max(took));
            }
        }
    }
    println!("{crashes} crashes; the slowest saga ended {slowest:?} after the restart");
    assert!(crashes > 100, "only {crashes} crashes");
    market.assert_right().await;
    market.assert_rebuilt_views_are_equal().await;
}

/// Some sagas that the seed draws, each at its first append or after it, in the process that takes its command.
async fn crash_at_some_steps(name: &str, options: SplitMarketOptions) {
    let mut choices = seeded_rng(name);
    let mut market = start(options).await;
    let mut sagas = Saga::ALL.to_vec();
    for _ in 0..size(4, Saga::ALL.len()) {
        let saga = sagas.swap_remove(choices.random_range(0..sagas.len()));
        let subject = saga.prepare(&market.client).await;
        market.settle().await;
        let point = ["store.before-append", "store.after-commit"][choices.random_range(0..2)];
        let names = market.processes.names();
        let process = names.iter().find(|name| name.contains(saga.service())).unwrap();
        let step = Step::new(process, point);
        let took = crash(&mut market, saga, subject, &step, 0).await;
        println!("{saga:?}: {step:?}: ended after {took:?}");
        assert!(took.is_some(), "{saga:?} passes {point}");
    }
    let violations = market.violations().await;
    assert!(violations.is_empty(), "{violations:#?}");
}

fn four_services(engine: Engine) -> SplitMarketOptions {
    let options = SplitMarketOptions::new(PROGRAM);
    SERVICES.into_iter().fold(options, |options, service| options.process(service, engine))
}

#[test]
fn sagas_over_four_services_end_after_a_crash_of_one() {
    run(crash_at_some_steps("four services", four_services(Engine::Sqlite)));
}

#[test]
fn every_saga_ends_after_a_crash_at_each_of_its_steps() {
    // It takes half an hour.
    if times(1) > 1 {
        run(crash_at_every_step(four_services(Engine::Sqlite)));
    }
}
