//! The rights of the database's roles as in the runbook: one role migrates, another one with fewer rights
//! serves and runs the tools. An error names a missing right.

use crate::command_line::{errors, folder, run};
use crate::tools::send;
use gdmarket_testkit::{ServerOptions, TestDb, eventually};
use reqwest::Method;
use serde_json::json;
use std::process::Output;
use std::time::Duration;

const PROGRAM: &str = crate::command_line::PROGRAM;
const RUNBOOK: &str = include_str!("../../../docs/runbook.md");
const SOON: Duration = Duration::from_secs(30);

/// The statements of the runbook's section about roles: those for a superuser, and those for the database.
fn statements() -> (String, String) {
    let section = RUNBOOK.split("## Rights of the database role").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("its end");
    let mut blocks = section
        .split("```sql\n")
        .skip(1)
        .map(|block| block.split("```").next().expect("the end of a block").to_owned());
    (blocks.next().expect("the roles"), blocks.next().expect("the grants"))
}

/// A database with the two roles of the runbook, under names that no other test uses.
struct Roles {
    db: TestDb,
    database: String,
}

impl Roles {
    async fn create() -> Self {
        let db = TestDb::postgres().await;
        let database = db.url().rsplit('/').next().expect("a name");
        let database = database.split('?').next().expect("a name").to_owned();
        let roles = Self { db, database };
        for statement in statements().0.split(';').map(str::trim).filter(|sql| !sql.is_empty()) {
            // The test's database exists already.
            let sql = match statement.strip_prefix("CREATE DATABASE market OWNER market_owner") {
                Some(_) => "ALTER DATABASE market OWNER TO market_owner",
                None => statement,
            };
            roles.sql(sql).await;
        }
        roles
    }

    /// Runs a statement of the runbook.
    async fn sql(&self, sql: &str) {
        let sql = sql
            .replace("market_owner", &self.name("owner"))
            .replace("market_server", &self.name("server"))
            .replace("DATABASE market ", &format!("DATABASE {} ", self.database));
        self.db.log_sql(&sql).await;
    }

    fn name(&self, role: &str) -> String {
        format!("{role}_{}", self.database)
    }

    /// The database's URL for a role.
    fn url(&self, role: &str) -> String {
        let (scheme, rest) = self.db.url().split_once("://").expect("a URL");
        let (_, place) = rest.split_once('@').expect("a user");
        format!("{scheme}://{}:change-me@{place}", self.name(role))
    }

    fn tool(&self, role: &str, line: &str) -> Output {
        let variables = [("GDMARKET__DATABASE__URL", self.url(role))];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        run(folder().path(), &line.split(' ').collect::<Vec<_>>(), &variables)
    }

    fn assert_success(&self, role: &str, line: &str) {
        let output = self.tool(role, line);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{line}: {printed}{}", errors(&output));
    }

    async fn remove(self) {
        for role in ["owner", "server"] {
            let role = self.name(role);
            let user = "REASSIGN OWNED BY";
            self.db.log_sql(&format!("{user} {role} TO CURRENT_USER; DROP OWNED BY {role}")).await;
            self.db.log_sql(&format!("DROP ROLE {role}")).await;
        }
    }
}

/// Plays a rental up to its payment and runs the tools, all with the serving role.
async fn serve(roles: &Roles) {
    let options = ServerOptions::new(PROGRAM).database_url(&roles.url("server"));
    let mut server = options.variable("GDMARKET__SERVER__MIGRATE", "false").start().await;
    let camera = json!({"itemName": "Camera", "itemPrice": 100, "ownerId": 7});
    let item = send(&server, Method::POST, "/items", camera).await["itemNo"].clone();
    let body = json!({"itemNo": item, "customerId": 1, "customerName": "Kim"});
    let reservation = send(&server, Method::POST, "/reservations", body).await;
    let paying = format!("/reservations/{}/payment", reservation["reservationNo"]);
    send(&server, Method::POST, &paying, json!({})).await;
    eventually(SOON, || async {
        let path = format!("/reservations/{}", reservation["reservationNo"]);
        let answer = reqwest::get(server.url(&path)).await.expect("an answer");
        let text = answer.text().await.expect("text");
        if text.contains("\"paymentStatus\":\"Paid\"") { Ok(()) } else { Err(text) }
    })
    .await;
    for line in [
        "check",
        "events list",
        "events export -",
        "state item 1",
        "trace reservation 1",
        "views status",
        "parked list",
        "replay --all --verify",
        "replay item-info --promote",
        "persons erase 1 --yes",
    ] {
        roles.assert_success("server", line);
    }
    server.terminate().await;
    assert_eq!(server.wait(SOON).await.code(), Some(0), "{}", server.stderr());
}

#[test]
fn roles_of_the_runbook_migrate_and_serve() {
    gdmarket_testkit::run(async {
        for is_granted_first in [true, false] {
            let roles = Roles::create().await;
            let grants = statements().1;
            if is_granted_first {
                roles.sql(&grants).await;
            }
            roles.assert_success("owner", "migrate");
            if !is_granted_first {
                roles.sql(&grants).await;
            }
            serve(&roles).await;
            roles.sql("REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM market_server").await;
            let refused = roles.tool("server", "events list");
            let message = errors(&refused);
            assert_eq!(refused.status.code(), Some(3), "{message}");
            assert!(message.contains("the database role lacks a right"), "{message}");
            assert!(message.contains("Rights of the database role"), "{message}");
            roles.sql(&grants).await;
            roles.assert_success("server", "events list");
            roles.remove().await;
        }
    });
}
