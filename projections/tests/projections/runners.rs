//! Leadership of loops: one of several replicas runs a loop, checkpoints must fit the log, and followers see the progress.

use crate::market::{MANAGERS, Market, SOON, VIEWS, item, options, reservation};
use gdmarket_domain::ItemCommand;
use gdmarket_projections::{Options, ReservationStatus};
use gdmarket_store::Leases;
use gdmarket_testkit::{Engine, eventually, on_each_engine};
use std::time::Duration;
use tokio::time::Instant;

on_each_engine! {
    async fn checkpoint_past_the_head_is_reported_as_a_problem(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, None).await;
        market.settle(&loops).await;
        loops.stop().await;
        let beyond = format!(
            "UPDATE checkpoints SET position = 1000000 WHERE subscription = '{}'", VIEWS[0]
        );
        market.views_sql(&beyond).await;
        market.item(1, ItemCommand::Delete).await;
        let loops = market.start();
        let applied = loops.applied();
        let problem = eventually(SOON, || async {
            let progress = applied.progress();
            progress[VIEWS[0]].problem.clone().ok_or(progress)
        })
        .await;
        assert!(problem.contains("past the log's head"), "{problem}");
        assert!(market.queries().item(item(1)).await.unwrap().is_some(), "nothing is written");
        let head = market.store.log().head().await.unwrap();
        eventually(SOON, || async {
            let alarms = applied.progress()[VIEWS[3]].clone();
            if alarms.position >= head { Ok(()) } else { Err(alarms) }
        })
        .await;
        loops.stop().await;
    }

    async fn views_of_another_log_are_refused(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, None).await;
        market.settle(&loops).await;
        loops.stop().await;
        market.views_sql("UPDATE checkpoints SET log_epoch = 7").await;
        let loops = market.start();
        for name in VIEWS.iter().chain(&MANAGERS) {
            let problem = eventually(SOON, || async {
                let progress = loops.applied().progress();
                progress[*name].problem.clone().ok_or(progress)
            })
            .await;
            assert!(problem.contains("epoch 7"), "{problem}");
        }
        loops.stop().await;
    }

    async fn loop_continues_in_another_runner_after_its_runner_ended(db: &TestDb) {
        let market = Market::open(db).await;
        let first = market.start();
        market.register(1, None).await;
        market.settle(&first).await;
        first.stop().await;
        let second = market.start();
        market.reserve(1, 1, None).await;
        market.settle(&second).await;
        let found = market.queries().reservation(reservation(1)).await.unwrap().unwrap();
        assert_eq!(found.body.status, ReservationStatus::Reserved);
        second.stop().await;
    }

    async fn follower_knows_the_progress_of_the_leader(db: &TestDb) {
        if db.engine() == Engine::Sqlite {
            return; // SQLite allows one process per data folder.
        }
        let market = Market::open(db).await;
        let leader = market.start();
        market.register(1, None).await;
        market.settle(&leader).await;
        let other = Market::open_url(db.url(), false).await;
        let follower = other.start_with(&Options { lease_ttl: Duration::from_mins(1), ..options() });
        market.reserve(1, 1, None).await;
        let position = market.store.log().head().await.unwrap();
        let applied = follower.applied();
        let until = Instant::now() + SOON;
        let reached = applied.wait_reactions(position, 2, until).await.expect("in time");
        assert!(applied.wait_views(reached, until).await);
        assert!(applied.progress().values().all(|progress| !progress.is_leader));
        let found = other.queries().reservation(reservation(1)).await.unwrap().unwrap();
        assert_eq!(found.body.status, ReservationStatus::Reserved);
        follower.stop().await;
        leader.stop().await;
    }

    async fn wait_ends_at_its_deadline(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        let until = Instant::now() + Duration::from_millis(50);
        assert!(!loops.applied().wait_views(1_000_000, until).await);
        assert_eq!(loops.applied().wait_reactions(1_000_000, 1, until).await, None);
        loops.stop().await;
    }

    async fn reactions_to_a_write_can_be_awaited(db: &TestDb) {
        let market = Market::open(db).await;
        let loops = market.start();
        market.register(1, None).await;
        for number in 1..=20 {
            market.reserve(number, 1, None).await;
            let position = market.store.log().head().await.unwrap();
            let (applied, until) = (loops.applied(), Instant::now() + SOON);
            let reached = applied.wait_reactions(position, 2, until).await.expect("in time");
            assert!(applied.wait_views(reached, until).await);
            let found = market.queries().reservation(reservation(number)).await.unwrap().unwrap();
            let expected = if number == 1 {
                ReservationStatus::Reserved
            } else {
                ReservationStatus::Rejected
            };
            assert_eq!(found.body.status, expected, "reservation {number}");
        }
        loops.stop().await;
    }

    async fn lease_has_one_holder_and_its_epoch_increases_with_each_takeover(db: &TestDb) {
        let market = Market::open(db).await;
        let leases = Leases::new(market.store.views().clone());
        let (long, short) = (Duration::from_mins(1), Duration::ZERO);
        assert_eq!(leases.take("x", "a", long).await.unwrap(), Some(1));
        assert_eq!(leases.take("x", "b", long).await.unwrap(), None);
        assert_eq!(leases.take("x", "a", short).await.unwrap(), Some(1), "renewed");
        assert_eq!(leases.take("x", "b", long).await.unwrap(), Some(2), "the lease had expired");
        assert_eq!(leases.take("x", "a", long).await.unwrap(), None);
        leases.release("x", "a").await.unwrap();
        assert_eq!(leases.take("x", "a", long).await.unwrap(), None, "only the holder releases a lease");
        leases.release("x", "b").await.unwrap();
        assert_eq!(leases.take("x", "a", long).await.unwrap(), Some(3));
    }
}
