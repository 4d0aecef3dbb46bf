//! Load on the market: each caller takes items through rentals. Every request has a key of its own and is in the
//! ledger; a request with an unknown outcome is repeated in some rounds and abandoned in others.

mod caller;
mod rentals;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::task::JoinHandle;

use self::caller::Caller;
use crate::environment::seed;
use crate::market_client::MarketClient;
use crate::request_ledger::RequestLedger;

/// The id of the command that a `POST` with this path and key executes as its step of this number, as the program
/// derives it.
pub type CommandId = fn(path: &str, key: &str, step: u32) -> String;

/// What the callers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Each caller rents out items of its own: paid, then lent and returned, or cancelled. Each step follows at once, as
    /// in a market that is one process.
    OwnItems,
    /// In addition items that all callers want at once, payments that are taken back, reservations that are left alone,
    /// and reads after writes. A step that needs what another service does is repeated until that is done.
    Everything,
}

/// How a load is made.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// How many work at once.
    pub callers: usize,
    /// What they do.
    pub mix: Mix,
    /// How the program names commands.
    pub command_id: CommandId,
}

/// Callers that work until [`RentalLoad::stop`].
#[derive(Debug)]
pub struct RentalLoad {
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<()>>,
}

impl RentalLoad {
    /// Starts the callers. Their choices depend on the run's seed.
    pub fn start(market: &MarketClient, ledger: &Arc<RequestLedger>, options: LoadOptions) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let wanted = Arc::new(AtomicI64::new(0));
        let seed = seed();
        let callers = (0..options.callers)
            .map(|number| {
                let caller = Caller::new(market, ledger, options, number, seed);
                let (stop, wanted) = (Arc::clone(&stop), Arc::clone(&wanted));
                tokio::spawn(async move { caller.work(&stop, &wanted).await })
            })
            .collect();
        Self { stop, callers }
    }

    /// Ends the load after the rentals that its callers are in.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.expect("a caller that ends by itself");
        }
    }
}
