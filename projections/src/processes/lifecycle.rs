//! The lifecycle of a rental and its payment, checked by exhaustive search: one item, two reservations of it,
//! two payment attempts, every outcome of the gateway, redelivery, repeats, crashes, and passing days; not
//! all of it at once, see the bounds.
//!
//! A transition consists of the program's own functions: the `decide` and `evolve` of the aggregates, the managers'
//! tables of reactions, and the table of refusals. The gateway and the tasks that call it are modelled in
//! `outside`. `rules` has the rules that hold in every state, and once no step is left. Leaving out a rule
//! of the design must lead to a state that breaks one of them.

mod decisions;
mod fixtures;
mod left_out;
mod model;
mod outside;
mod people;
mod reactions;
mod request_state;
mod rules;
mod search;
mod tables;

use left_out::LeftOut;
use model::Bounds;
use search::Search;

/// Both reservations, with one attempt to pay each; the second one's calls are answered, and it sees no crash.
const WHOLE: Bounds = Bounds {
    requests: 2,
    attempts: [1, 1],
    mishaps: [1, 0],
    is_unsure: [true, false],
    rows_lag: false,
    last_day: 2,
    limit: 2_000_000,
};

/// The first reservation has two attempts to pay while the second one reserves the item and pays, on one day
/// and without a crash: two attempts of each, or a second day, are more states than a test can go through.
const PAID_AGAIN: Bounds = Bounds { attempts: [2, 1], mishaps: [0, 0], last_day: 1, ..WHOLE };

/// One reservation, with two attempts to pay and two crashes or redeliveries.
const ALONE: Bounds = Bounds { requests: 1, attempts: [2, 0], mishaps: [2, 0], ..WHOLE };

/// One reservation whose rows of deadlines lag behind its events.
const LAGGING: Bounds = Bounds {
    requests: 1,
    attempts: [1, 0],
    mishaps: [0, 0],
    is_unsure: [false, false],
    rows_lag: true,
    last_day: 1,
    ..WHOLE
};

fn breaks_no_rule(bounds: Bounds, at_least: usize) {
    let found = Search::new(bounds, None).run();
    println!("{found}");
    assert!(found.broken.is_none(), "{found}");
    assert!(found.states > at_least, "{found}");
}

#[test]
fn no_interleaving_breaks_a_rule_of_the_lifecycle() {
    for (bounds, at_least) in [(WHOLE, 500_000), (ALONE, 50_000), (LAGGING, 1_000)] {
        breaks_no_rule(bounds, at_least);
    }
}

#[test]
fn no_second_attempt_alongside_another_reservation_breaks_a_rule_of_the_lifecycle() {
    breaks_no_rule(PAID_AGAIN, 500_000);
}

macro_rules! needed {
    ($($test:ident $bounds:ident $left_out:ident $breaks:literal),+ $(,)?) => { $(
        #[test]
        fn $test() {
            let found = Search::new($bounds, Some(LeftOut::$left_out)).run();
            let broken = found.broken.as_ref().map(|broken| broken.rule.as_str());
            assert!(broken.is_some_and(|rule| rule.contains($breaks)), "{found}");
            println!("{found}");
        }
    )+ };
}

needed! {
    only_the_starter_of_an_attempt_may_call_the_gateway ALONE OneConfirm "charged twice",
    an_attempt_needs_its_settle_row ALONE Settling "unfinished",
    a_late_approval_needs_its_refund ALONE LateRefund "money",
    a_hold_and_its_refusal_need_one_command_id WHOLE OneHoldAnswer "parked",
    a_cancellation_is_answered_by_the_item WHOLE ItemDecides "lent",
    a_deadline_needs_its_own_pay_by LAGGING StandingPayBy "older",
    a_card_that_never_pays_needs_a_limit ALONE PayLimit "longer",
    a_refund_is_done_only_once_it_is_recorded ALONE RefundRecorded "unfinished",
    a_refused_refund_calls_the_gateway_again ALONE RefundRetry "unfinished",
    an_ended_reservation_releases_its_days ALONE Release "holds",
    a_late_lending_needs_the_last_day ALONE LastDay "after its last day",
    an_overdue_rental_takes_today WHOLE Overdue "is out",
    an_owner_does_not_rent_their_own_item WHOLE OwnItem "own item",
}
