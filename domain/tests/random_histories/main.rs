//! Random histories of a small market: whatever way reserving, paying, cancelling, lending, expiring,
//! redelivery, delay and crashes interleave, the rules of the market hold after every step, and
//! once everything under way has arrived nothing is stuck and the money is where it belongs.
//!
//! `market` holds the aggregates, the log and the receipts; `people` and `outside` act on it,
//! `reactions` are the process managers, `rules` watch.
#![expect(clippy::unwrap_used, reason = "a test")]

mod market;
mod outside;
mod people;
mod reactions;
mod rules;

use market::{Market, Outcome, Tally};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any};
use proptest::test_runner::{TestCaseError, TestRunner};
use std::cell::RefCell;

/// What happens next: which kind of thing, to whom, and how it goes. Any three bytes mean something.
type UpcastStep = (u8, u8, u8);

#[test]
fn no_interleaving_breaks_a_rule_or_leaves_anything_stuck() {
    let tally = RefCell::new(Tally::default());
    let config = ProptestConfig { cases: 6000, failure_persistence: None, ..Default::default() };
    let outcome = TestRunner::new(config).run(&vec(any::<UpcastStep>(), 20..200), |steps| {
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
    assert_eq!(tally.unseen_events(), [""; 0], "histories that never happened");
}

fn live(market: &mut Market, steps: &[UpcastStep]) -> Outcome {
    for step in steps {
        take(market, *step)?;
        rules::after_each_step(market)?;
    }
    settle_everything(market)?;
    rules::after_each_step(market)?;
    rules::at_rest(market)
}

fn take(market: &mut Market, (kind, whom, how): UpcastStep) -> Outcome {
    match kind % 20 {
        0..=5 => market.deliver(whom, how),
        6 => {
            market.redeliver(whom, how);
            Ok(())
        }
        7..=9 => market.advance_task(whom, how),
        10 => {
            market.land_or_lose(whom, how);
            Ok(())
        }
        11 => market.settle_one(whom),
        12 => market.fire_deadline(whom),
        13..=14 => market.reserve(whom, how),
        15..=17 => market.next_of_reservation(whom, how),
        18 => market.anything_of_reservation(whom, how),
        _ => market.something_of_owner(whom, how),
    }
}

/// Everything under way arrives; after that nothing may be left to do.
fn settle_everything(market: &mut Market) -> Outcome {
    for _ in 0..500 {
        if !(market.finish_tasks()? | market.deliver_all()? | market.settle_all()?) {
            return Ok(());
        }
    }
    Err("the market never comes to rest".to_owned())
}
