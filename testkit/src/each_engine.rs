//! One test body, one test per engine: `on_each_engine!` and the runtime it runs on.

use std::future::Future;

/// Expands each `async fn` into two tests: `<name>::sqlite` and `<name>::postgres`.
///
/// ```
/// gdmarket_testkit::on_each_engine! {
///     /// What the test shows.
///     async fn fresh_database_is_empty(db: &TestDb) {
///         assert!(!db.url().is_empty());
///     }
/// }
/// # fn main() {}
/// ```
///
/// Attributes such as `#[ignore = "…"]` apply to both tests. The body runs on a runtime with worker
/// threads; the database is dropped when the body ends.
#[macro_export]
macro_rules! on_each_engine {
    ($( $(#[$attribute:meta])* async fn $name:ident($db:ident: &TestDb) $body:block )+) => { $(
        #[cfg(test)]
        async fn $name($db: &$crate::TestDb) $body

        #[cfg(test)]
        mod $name {
            #[test]
            $(#[$attribute])*
            fn sqlite() {
                $crate::run(async { super::$name(&$crate::TestDb::sqlite()).await });
            }

            #[test]
            $(#[$attribute])*
            fn postgres() {
                $crate::run(async { super::$name(&$crate::TestDb::postgres().await).await });
            }
        }
    )+ };
}

/// Runs a test to completion on a runtime of its own with two worker threads.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the test")
        .block_on(Box::pin(test))
}
