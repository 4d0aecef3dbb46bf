//! The store's contract: one suite, run on SQLite and on PostgreSQL. Next to each test that nothing is lost is a
//! control, which removes the protection and expects the loss.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "contract/archive.rs"]
mod archive;
#[path = "contract/basics.rs"]
mod basics;
#[path = "contract/batches.rs"]
mod batches;
#[path = "contract/broken_sessions.rs"]
mod broken_sessions;
#[path = "contract/caches.rs"]
mod caches;
#[path = "contract/check.rs"]
mod check;
#[path = "contract/damaged_pages.rs"]
mod damaged_pages;
#[path = "contract/dropped_futures.rs"]
mod dropped_futures;
#[path = "contract/erasure.rs"]
mod erasure;
#[path = "contract/fencing.rs"]
mod fencing;
#[path = "contract/foreign_defaults.rs"]
mod foreign_defaults;
#[path = "contract/idempotency.rs"]
mod idempotency;
#[path = "contract/left_over_wal.rs"]
mod left_over_wal;
#[path = "contract/log_identity.rs"]
mod log_identity;
#[path = "contract/lost_connection.rs"]
mod lost_connection;
#[path = "contract/numbers.rs"]
mod numbers;
#[path = "contract/order.rs"]
mod order;
#[path = "contract/plans.rs"]
mod plans;
#[path = "contract/poolers.rs"]
mod poolers;
#[path = "contract/proxy.rs"]
mod proxy;
#[path = "contract/query.rs"]
mod query;
#[path = "contract/rights.rs"]
mod rights;
#[path = "contract/scan.rs"]
mod scan;
#[path = "contract/schema.rs"]
mod schema;
#[path = "contract/schema_faults.rs"]
mod schema_faults;
#[path = "contract/search_path.rs"]
mod search_path;
#[path = "contract/sources.rs"]
mod sources;
#[path = "contract/stock_postgres_es.rs"]
mod stock_postgres_es;
#[path = "contract/support.rs"]
mod support;
#[path = "contract/wal_size.rs"]
mod wal_size;
#[path = "contract/write_once_records.rs"]
mod write_once_records;
