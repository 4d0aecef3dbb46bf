//! The views as a SQL tool reads them: the examples of docs/sql.md.

use crate::market::Market;
use crate::scenario;
use gdmarket_projections::{Filter, Found, Page, PageRequest, Queries};
use gdmarket_store::on_db;
use gdmarket_testkit::{TestDb, on_each_engine};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

const PAGE: &str = include_str!("../../../docs/sql.md");
const ALL: PageRequest = PageRequest { after: 0, limit: 100 };

/// The query of the nine fields.
fn documented_query() -> &'static str {
    let (_, query) = PAGE.split_once("```sql\n").unwrap();
    query.split_once("```").unwrap().0
}

/// The columns that the page names of a table.
fn documented_columns(table: &str) -> Vec<&'static str> {
    let line = PAGE.lines().find(|line| line.starts_with(&format!("| `{table}`"))).unwrap();
    let columns = line.split('`').skip(3).step_by(2);
    columns.collect()
}

/// A market after the scenario, with a name for the reservation that item 2 shows.
async fn market(db: &TestDb) -> (Market, Queries) {
    let market = Market::open(db).await;
    let loops = market.start();
    scenario::play(&market, &loops).await;
    let name = "INSERT INTO personal_names VALUES ('reservation', '4', 1004, 'YoungEunSong')";
    db.log_sql(name).await;
    let queries = loops.queries();
    loops.stop().await;
    (market, queries)
}

/// The rows of a query as JSON, by the name of each column.
async fn rows(db: &TestDb, market: &Market, query: &str, columns: &[&str]) -> Vec<Value> {
    let texts: Vec<String> = match db.folder() {
        None => {
            let sql = format!("SELECT row_to_json(t)::text FROM ({query}) t");
            on_db!(market.store.views(), pool => sqlx::query_scalar(&sql).fetch_all(pool).await)
                .unwrap()
        }
        Some(folder) => {
            let file =
                SqliteConnectOptions::new().filename(folder.join("views.db")).read_only(true);
            let mut file = file.connect().await.unwrap();
            let log = folder.join("log.db").display().to_string();
            file.execute(format!("ATTACH '{log}' AS log").as_str()).await.unwrap();
            let pairs: Vec<String> =
                columns.iter().map(|name| format!("'{name}', {name}")).collect();
            let sql = format!("SELECT json_object({}) FROM ({query}) t", pairs.join(", "));
            sqlx::query_scalar(&sql).fetch_all(&mut file).await.unwrap()
        }
    };
    texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

fn camel(name: &str) -> String {
    let mut is_first = false;
    let mut camel = String::new();
    for letter in name.chars() {
        match letter {
            '_' => is_first = true,
            letter if std::mem::take(&mut is_first) => camel.push(letter.to_ascii_uppercase()),
            letter => camel.push(letter),
        }
    }
    camel
}

/// The fields of a body under the names of columns.
fn as_columns(body: &Value, columns: &[&str]) -> Value {
    let field = |name: &&str| {
        let pointer = match *name {
            "period_from" => "/period/from".to_owned(),
            "period_to" => "/period/to".to_owned(),
            other => format!("/{}", camel(other)),
        };
        ((*name).to_owned(), body.pointer(&pointer).cloned().unwrap_or_default())
    };
    Value::Object(columns.iter().map(field).collect::<Map<_, _>>())
}

/// The bodies of a page as JSON.
fn bodies<B: Serialize, A>(page: &Page<Found<B, A>>) -> Vec<Value> {
    page.rows.iter().map(|row| json!(row.body)).collect()
}

on_each_engine! {
    async fn nine_fields_of_item_info_are_read_without_opening_json(db: &TestDb) {
        let (market, queries) = market(db).await;
        let columns = [
            "item_no", "item_name", "item_price", "item_status", "rental_status", "reservation_no",
            "customer_id", "customer_name", "alarm_status",
        ];
        let read = rows(db, &market, documented_query(), &columns).await;
        let infos = bodies(&queries.item_infos(&Filter::default(), ALL).await.unwrap());
        let shown: Vec<Value> = infos.iter().map(|body| as_columns(body, &columns)).collect();
        assert_eq!(read, shown);
        assert!(read.iter().any(|row| row["customer_name"] == "YoungEunSong"), "{read:?}");
    }

    async fn columns_of_every_view_match_the_bodies(db: &TestDb) {
        let (market, queries) = market(db).await;
        let filter = Filter::default();
        let bodies = [
            ("view_item_info_v4", bodies(&queries.items(&filter, ALL).await.unwrap())),
            ("view_reservations_v3", bodies(&queries.reservations(&filter, ALL).await.unwrap())),
            ("view_payments_v3", bodies(&queries.payments(&filter, ALL).await.unwrap())),
            ("view_alarms_v2", bodies(&queries.alarms(&filter, ALL).await.unwrap())),
        ];
        for (table, bodies) in bodies {
            let mut columns = documented_columns(table);
            // Not every body has the owner and the customer.
            columns.retain(|name| !["owner_id", "customer_id"].contains(name));
            let query = format!("SELECT {} FROM {table} WHERE gone = 0 ORDER BY no", columns.join(", "));
            let read = rows(db, &market, &query, &columns).await;
            let shown: Vec<Value> = bodies.iter().map(|body| as_columns(body, &columns)).collect();
            assert!(!shown.is_empty(), "{table}");
            assert_eq!(read, shown, "{table}");
        }
    }
}
