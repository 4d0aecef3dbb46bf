//! A build is promoted by a role that may not give its table to the role that serves: it is refused, what is
//! served stays, and the server goes on with it.

use crate::market::Market;
use gdmarket_testkit::{ServerOptions, TestDb, eventually, run};
use std::process::Command;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const SOON: Duration = Duration::from_secs(30);

struct Roles {
    server: String,
    other: String,
}

impl Roles {
    async fn made(db: &TestDb) -> Self {
        let (_, name) = db.url().rsplit_once('/').unwrap();
        let roles = Self { server: format!("{name}_server"), other: format!("{name}_other") };
        for role in [&roles.server, &roles.other] {
            db.log_sql(&format!("CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA public TO {role}"))
                .await;
        }
        roles
    }

    /// All rights but those of an owner.
    async fn let_other_work(&self, db: &TestDb) {
        let other = &self.other;
        db.log_sql(&format!(
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO {other}; \
             GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {other}"
        ))
        .await;
    }

    async fn removed(self, db: &TestDb) {
        for role in [&self.other, &self.server] {
            db.log_sql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
        }
    }
}

fn url(db: &TestDb, role: &str) -> String {
    let (_, place) = db.url().split_once('@').unwrap();
    format!("postgres://{role}@{place}")
}

fn promoted(db: &TestDb, role: &str) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    command.args(["replay", "item-info", "--promote", "--database-url", &url(db, role)]);
    let output = command.current_dir("/").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

async fn is_served(market: &Market, item: i64) {
    eventually(SOON, || async {
        let shown = market.get(&format!("/itemInfoes/{item}")).await;
        if shown.status == 200 { Ok(()) } else { Err(shown) }
    })
    .await;
}

#[test]
fn a_promotion_by_a_role_without_the_right_is_refused() {
    run(async {
        let db = TestDb::postgres().await;
        let roles = Roles::made(&db).await;
        let server =
            ServerOptions::new(PROGRAM).database_url(&url(&db, &roles.server)).start().await;
        let market = Market::at(&server.url(""));
        let first = market.register(100).await;
        is_served(&market, first).await;
        roles.let_other_work(&db).await;
        let owned_by_server = format!(
            "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'view\\_item\\_info%' \
             AND tablename NOT LIKE '%\\_g%' AND tableowner = '{}'",
            roles.server
        );
        let before = db.views_number(&owned_by_server).await;
        assert!(before > 0, "the server's role has the view");

        let (code, said) = promoted(&db, &roles.other);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("the database role lacks a right"), "{said}");
        assert!(said.contains("Rights of the database role"), "the next step: {said}");
        assert_eq!(db.views_number(&owned_by_server).await, before, "what is served stays");
        let second = market.register(200).await;
        is_served(&market, second).await;

        // Control: with the right it is done, and the table is the server's.
        db.log_sql(&format!("GRANT {} TO {}", roles.server, roles.other)).await;
        let (code, said) = promoted(&db, &roles.other);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(db.views_number(&owned_by_server).await, before, "the owner is carried over");
        let third = market.register(300).await;
        is_served(&market, third).await;
        drop(server);
        db.cut_off("gdmarket").await;
        roles.removed(&db).await;
    });
}
