//! The grants of the runbook are sufficient and necessary: one role migrates, another one serves.

use crate::support::*;
use gdmarket_store::{NumberKind, Store, StoreError, StoreOptions, on_tx};
use gdmarket_testkit::{TestDb, run};
use sqlx::{Connection, Executor, PgConnection};
use std::path::Path;

/// The statements of the runbook's section: those of the superuser, and those within the database.
fn grants() -> (String, String) {
    let runbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbook.md");
    let runbook = std::fs::read_to_string(runbook).unwrap();
    let section = runbook.split("## Rights of the database role").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut blocks =
        section.split("```sql").skip(1).map(|block| block.split("```").next().unwrap());
    (blocks.next().unwrap().to_owned(), blocks.next().unwrap().to_owned())
}

fn url_of(db: &TestDb, role: &str, name: &str) -> String {
    let address = db.url().split('@').nth(1).unwrap();
    let host = address.split('/').next().unwrap();
    format!("postgres://{role}:change-me@{host}/{name}")
}

#[test]
fn grants_of_the_runbook_suffice_to_migrate_and_to_serve() {
    run(async {
        let db = TestDb::postgres().await;
        let mut admin = PgConnection::connect(db.url()).await.unwrap();
        let own: String = sqlx::query_scalar("SELECT current_database()::text")
            .fetch_one(&mut admin)
            .await
            .unwrap();
        let name = format!("{own}_rights");
        let (owner, server) = (format!("{own}_owner"), format!("{own}_server"));
        let named = |sql: String| {
            sql.replace("market_owner", &owner)
                .replace("market_server", &server)
                .replace("DATABASE market ", &format!("DATABASE {name} "))
        };
        let (as_superuser, within) = grants();
        for statement in named(as_superuser).split(';').filter(|sql| !sql.trim().is_empty()) {
            admin.execute(statement).await.unwrap();
        }
        let there = db.url().replace(&own, &name);
        let mut inside = PgConnection::connect(&there).await.unwrap();
        inside.execute(named(within).as_str()).await.unwrap();
        let options =
            |role: &str| StoreOptions { url: url_of(&db, role, &name), ..StoreOptions::default() };
        let done =
            migrate_and_serve(&options(&owner), (&server, &options(&server)), &mut inside).await;
        inside.close().await.unwrap();
        for sql in [
            format!("DROP DATABASE {name} WITH (FORCE)"),
            format!("DROP ROLE {owner}"),
            format!("DROP ROLE {server}"),
        ] {
            admin.execute(sql.as_str()).await.unwrap();
        }
        done.unwrap();
    });
}

async fn migrate_and_serve(
    owner: &StoreOptions,
    (role, server): (&str, &StoreOptions),
    superuser: &mut PgConnection,
) -> Result<(), Box<dyn std::error::Error>> {
    Store::migrate(owner).await?;
    // A server migrates by default; nothing is left to do.
    assert!(Store::migrate(server).await?.applied.is_empty());
    let store = Store::open(server).await?;
    store.verify_schema().await?;
    store.appender().append(append(1, 1, 0)).await?;
    store.numbers().allocate("kind").await?;
    store.numbers().raise(NumberKind { kind: "kind", ..NUMBERS }).await?;
    store.personal_data().erase(1).await?;
    let mut tx = store.views().begin().await?;
    on_tx!(&mut tx, connection => connection.execute("CREATE TABLE view_x (no bigint)").await.map(drop))?;
    tx.commit().await?;
    assert_eq!(whole_log(&store).await.len(), 1);
    // The error names a missing right.
    superuser.execute(format!("REVOKE INSERT ON numbers FROM {role}").as_str()).await?;
    let refused = store.numbers().raise(NumberKind { kind: "other", ..NUMBERS }).await;
    store.close().await;
    match refused {
        Err(StoreError::Server { why, .. }) if why.contains("numbers") => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}
