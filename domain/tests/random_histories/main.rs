//! Random histories of a small market. However reserving, paying, cancelling, lending, expiring, redelivery,
//! delay and crashes interleave, the rules of the market hold after every step; once everything in flight has
//! arrived, every process has ended and every charge is either due or refunded.
//!
//! `market` holds the aggregates, the log and the receipts; `people` and `payment_tasks` act on it,
//! `process_managers` react, and `rules` checks.
#![expect(clippy::unwrap_used, reason = "a test")]

mod market;
mod payment_tasks;
mod people;
mod process_managers;
mod rules;

use market::{Market, Outcome, Tally};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any};
use proptest::test_runner::{TestCaseError, TestRunner};
use std::cell::RefCell;

/// One step: its kind, its target and its outcome. Any three bytes are a valid step.
type HistoryStep = (u8, u8, u8);

#[test]
fn every_interleaving_keeps_the_rules_and_completes_every_process() {
    let tally = RefCell::new(Tally::default());
    let config = ProptestConfig { cases: 6000, failure_persistence: None, ..Default::default() };
    let outcome = TestRunner::new(config).run(&vec(any::<HistoryStep>(), 20..200), |steps| {
        let mut market = Market::opened();
        let lived = live(&mut market, &steps);
        tally.borrow_mut().add(&market.tally);
        lived.map_err(|rule| TestCaseError::fail(format!("{rule}\n{}", market.trace.join("\n"))))
    });
    if let Err(broken) = outcome {
        panic!("{broken}");
    }
    let tally = tally.into_inner();
    println!("{tally}");
    assert!(tally.people.share_is_at_least_a_third(), "of people's commands: {}", tally.people);
    assert!(tally.all.share_is_at_least_a_third(), "of all commands: {}", tally.all);
    assert_eq!(tally.unseen_events(), [""; 0], "events that no history led to");
}

fn live(market: &mut Market, steps: &[HistoryStep]) -> Outcome {
    for step in steps {
        take(market, *step)?;
        rules::after_each_step(market)?;
    }
    deliver_everything(market)?;
    rules::after_each_step(market)?;
    rules::when_idle(market)
}

fn take(market: &mut Market, (kind, target, how): HistoryStep) -> Outcome {
    match kind % 20 {
        0..=5 => market.deliver(target, how),
        6 => {
            market.redeliver(target, how);
            Ok(())
        }
        7..=9 => market.advance_task(target, how),
        10 => {
            market.charge_late_or_never(target, how);
            Ok(())
        }
        11 => market.settle_one(target),
        12 => market.fire_deadline(target),
        13..=14 => market.reserve(target, how),
        15..=17 => market.next_of_reservation(target, how),
        18 => market.arbitrary_of_reservation(target, how),
        _ => market.command_of_owner(target, how),
    }
}

/// Delivers everything in flight until nothing is left to do.
fn deliver_everything(market: &mut Market) -> Outcome {
    for _ in 0..500 {
        if !(market.finish_tasks()? | market.deliver_all()? | market.settle_all()?) {
            return Ok(());
        }
    }
    Err("the market never becomes idle".to_owned())
}
