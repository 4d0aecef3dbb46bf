//! A stream that is assumed new and already exists is read and decided on as it is. That a new stream costs
//! no read is tested in `tests/metrics`.

use crate::market::{Market, drill, item_no, keyed, operator, price, process};
use gdmarket_commands::{CommandError, CommandMeta, Executed, Precondition};
use gdmarket_domain::{ItemCommand, ItemError, ItemNo, MarketCommand, Refusal};
use gdmarket_testkit::on_each_engine;

fn register(item_no: ItemNo) -> ItemCommand {
    let item_name = "drill".to_owned();
    ItemCommand::Register { item_no, owner_id: None, item_name, item_price: price(100) }
}

fn is_abandoned(error: &CommandError) -> bool {
    let expected = ItemError::RegistrationAbandoned.code();
    matches!(error, CommandError::Refused { code, .. } if code == expected)
}

impl Market {
    async fn send(
        &self,
        no: ItemNo,
        command: ItemCommand,
        meta: &CommandMeta,
    ) -> Result<Executed, CommandError> {
        self.commands.send(MarketCommand::Item(no, command), meta).await
    }
}

on_each_engine! {
    async fn command_for_an_existing_stream_is_decided_on_its_state(db: &TestDb) {
        let (one, other) = (Market::open(db).await, Market::open(db).await);
        let no = one.register().await;
        one.reprice(no, 200, operator()).await.unwrap();
        let again = other.send(no, register(no), &process()).await.unwrap();
        assert_eq!((again.version, again.count), (2, 0));

        let abandoned = item_no(50);
        one.item(abandoned, ItemCommand::AbandonRegistration { item_no: abandoned }).await.unwrap();
        let late = other.send(abandoned, register(abandoned), &process()).await.unwrap_err();
        assert!(is_abandoned(&late), "{late:?}");

        // A stream that wasn't read has no version to compare with.
        let third = Market::open(db).await;
        let if_match = CommandMeta { precondition: Precondition::version(9), ..operator() };
        let stale = third.send(no, register(no), &if_match).await;
        assert_eq!(stale, Err(CommandError::StaleVersion { current: 2 }));
        assert_eq!(one.stream("item", no.get()).await, ["ItemRegistered", "ItemChanged"]);
        for market in [one, other, third] {
            market.close().await;
        }
    }

    async fn repeat_in_another_process_is_answered_from_its_receipt(db: &TestDb) {
        let (one, other) = (Market::open(db).await, Market::open(db).await);
        let (no, meta) = (item_no(7), keyed("/items", "k", "{}"));
        let first = one.send(no, register(no), &meta).await.unwrap();
        let again = other.send(no, register(no), &meta).await.unwrap();
        assert_eq!(again, Executed { replayed: true, ..first });
        let reused = CommandMeta { fingerprint: b"else".to_vec(), ..meta };
        let third = Market::open(db).await;
        let refused = third.send(no, register(no), &reused).await;
        assert_eq!(refused, Err(CommandError::KeyReused));
        assert_eq!(one.stream("item", 7).await, ["ItemRegistered"]);
        for market in [one, other, third] {
            market.close().await;
        }
    }

    async fn slower_of_two_processes_decides_on_the_events_of_the_faster(db: &TestDb) {
        let (one, other) = (Market::open(db).await, Market::open(db).await);
        for number in 1..=20 {
            let no = item_no(number);
            let abandon = ItemCommand::AbandonRegistration { item_no: no };
            let (registered, abandoned) =
                tokio::join!(one.item(no, register(no)), other.item(no, abandon));
            let abandoned = abandoned.unwrap();
            let stream = one.stream("item", number).await;
            match registered {
                Ok(executed) => {
                    assert_eq!((executed.count, abandoned.count), (1, 0));
                    assert_eq!(stream, ["ItemRegistered"]);
                }
                Err(error) => {
                    assert!(is_abandoned(&error), "{error:?}");
                    assert_eq!((abandoned.version, abandoned.count), (1, 1));
                    assert_eq!(stream, ["RegistrationAbandoned"]);
                }
            }
        }
        one.close().await;
        other.close().await;
    }

    async fn registration_of_a_taken_number_does_not_affect_others_of_its_batch(db: &TestDb) {
        let (one, other) = (Market::open(db).await, Market::open(db).await);
        let taken = one.register().await;
        let others_of_batch = (10..30).map(item_no);
        let sent = others_of_batch.chain([taken]).map(|no| {
            let other = other.clone();
            async move { other.item(no, register(no)).await.unwrap().count }
        });
        let counts = futures::future::join_all(sent).await;
        assert_eq!(counts.iter().sum::<i64>(), 20);
        assert_eq!(counts.last(), Some(&0));
        let next = other.commands.register_item(drill(), &operator()).await.unwrap().executed;
        assert_eq!(next.number, 2);
        one.close().await;
        other.close().await;
    }
}
