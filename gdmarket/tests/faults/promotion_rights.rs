//! A build is promoted by a database role that may not give its table to the server's role: it is refused, and the
//! server continues with the table that it serves.

use gdmarket_testkit::{MarketClient, ServerOptions, TestDb, eventually, run};
use std::process::Command;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gdmarket");
const SOON: Duration = Duration::from_secs(30);

struct Roles {
    server: String,
    other: String,
}

impl Roles {
    async fn create(db: &TestDb) -> Self {
        let (_, name) = db.url().rsplit_once('/').unwrap();
        let roles = Self { server: format!("{name}_server"), other: format!("{name}_other") };
        for role in [&roles.server, &roles.other] {
            db.log_sql(&format!("CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA public TO {role}"))
                .await;
        }
        roles
    }

    /// Grants the other role all rights but those of an owner.
    async fn grant_all_but_ownership(&self, db: &TestDb) {
        let other = &self.other;
        db.log_sql(&format!(
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO {other}; \
             GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {other}"
        ))
        .await;
    }

    async fn drop_roles(self, db: &TestDb) {
        for role in [&self.other, &self.server] {
            db.log_sql(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
        }
    }
}

fn url(db: &TestDb, role: &str) -> String {
    let (_, place) = db.url().split_once('@').unwrap();
    format!("postgres://{role}@{place}")
}

fn promote(db: &TestDb, role: &str) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    command.args(["replay", "item-info", "--promote", "--database-url", &url(db, role)]);
    let output = command.current_dir("/").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

async fn is_served(market: &MarketClient, item: i64) {
    eventually(SOON, || async {
        let shown = market.get(&format!("/itemInfoes/{item}")).await;
        if shown.status == 200 { Ok(()) } else { Err(shown) }
    })
    .await;
}

#[test]
fn promotion_by_a_role_without_the_right_is_refused() {
    run(async {
        let db = TestDb::postgres().await;
        let roles = Roles::create(&db).await;
        let server =
            ServerOptions::new(PROGRAM).database_url(&url(&db, &roles.server)).start().await;
        let market = MarketClient::at(&server.url(""));
        let first = market.register(100).await;
        is_served(&market, first).await;
        roles.grant_all_but_ownership(&db).await;
        let owned_by_server = format!(
            "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'view\\_item\\_info%' \
             AND tablename NOT LIKE '%\\_g%' AND tableowner = '{}'",
            roles.server
        );
        let before = db.views_number(&owned_by_server).await;
        assert!(before > 0, "the server's role owns the view");

        let (code, output) = promote(&db, &roles.other);
        assert_eq!(code, Some(3), "{output}");
        assert!(output.contains("the database role lacks a right"), "{output}");
        assert!(output.contains("Rights of the database role"), "the next step: {output}");
        assert_eq!(db.views_number(&owned_by_server).await, before, "the served table stays");
        let second = market.register(200).await;
        is_served(&market, second).await;

        // Control: with the right the promotion is done, and the server's role owns the table.
        db.log_sql(&format!("GRANT {} TO {}", roles.server, roles.other)).await;
        let (code, output) = promote(&db, &roles.other);
        assert_eq!(code, Some(0), "{output}");
        assert_eq!(
            db.views_number(&owned_by_server).await,
            before,
            "the new table has the same owner"
        );
        let third = market.register(300).await;
        is_served(&market, third).await;
        drop(server);
        db.cut_off("gdmarket").await;
        roles.drop_roles(&db).await;
    });
}
