//! What an operator may do about an open step.

use crate::output::event_lines::moment;
use gdmarket_projections::{LoopState, LoopStatus, ParkedReaction, SagaRow};
use gdmarket_store::SubscriptionId;

/// The next step for the operator.
pub(super) fn advice(row: &SagaRow, loops: &[LoopStatus]) -> String {
    let SagaRow { saga, .. } = row;
    if let Some(parked) = row.parked.first() {
        return about_parked(saga, parked);
    }
    if row.waits_for == "operator" {
        return settle(row);
    }
    if let Some(error) = &row.error {
        return format!("finish {saga} by other means: {error}");
    }
    let Some(process) = row.process else {
        return format!("nothing: the {} is free {}", row.waits_for, row.purpose);
    };
    match loop_of(process, loops) {
        Some(LoopStatus { name, problem: Some(problem), .. }) => {
            format!("{name} is blocked: {problem}; see gdmarket views status")
        }
        Some(LoopStatus { state: LoopState::OtherLog, .. }) => {
            format!("{process} has read another log; see gdmarket migrate --restored")
        }
        Some(LoopStatus { state: LoopState::Running, holder, .. }) => {
            let holder = holder.as_deref().unwrap_or("a server");
            format!("nothing: {process} does it on {holder}")
        }
        Some(LoopStatus {
            state:
                LoopState::Idle | LoopState::Paused | LoopState::NotBuilt | LoopState::WaitsForSource,
            ..
        })
        | None => format!("start a server: no process runs {process}"),
    }
}

/// The loop of a process manager that an operator has to look at first: it has one for each log that it reads.
fn loop_of<'a>(process: &str, loops: &'a [LoopStatus]) -> Option<&'a LoopStatus> {
    let its = |of: &&LoopStatus| SubscriptionId::parse(&of.name).subscriber == process;
    let importance = |of: &&LoopStatus| (of.problem.is_none(), of.state != LoopState::Running);
    loops.iter().filter(its).min_by_key(importance)
}

fn about_parked(saga: &str, of: &ParkedReaction) -> String {
    let parked = &of.parked;
    let retry = format!("gdmarket sagas retry {saga}");
    if let Some(no) = of.parked.key.strip_prefix("payment/") {
        return format!(
            "clear it up with the gateway, then: {retry}; or record what you found out: \
             gdmarket payments settle {no}"
        );
    }
    match of.next_try_at {
        Some(at) => {
            format!("nothing: it is tried again by itself at {}; at once: {retry}", moment(at))
        }
        None => format!(
            "after a fix: {retry}; if it can never succeed: gdmarket parked drop {} {} --reason '…'",
            parked.subscription, parked.key
        ),
    }
}

fn settle(row: &SagaRow) -> String {
    let number = row.payment_no.map(|no| no.to_string()).unwrap_or_default();
    format!("ask the card company, then: gdmarket payments settle {number}")
}
