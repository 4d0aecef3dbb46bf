//! A stand-in for a payment provider, as a process of its own: JSON over HTTP in the way of the providers that shops
//! in Korea use, a durable book of charges and refunds, and faults on request.
//!
//! It shares nothing with the market but the wire. docs/payment-provider.md describes its interface.

mod behaviour;
mod charge_book;
mod connection;
mod payments;
mod responses;
mod routes;

pub use behaviour::{ProviderBehaviour, ProviderFault, ProviderOperation};

use behaviour::CurrentBehaviour;
use charge_book::ChargeBook;
use payments::ProviderPayments;
use routes::Routes;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What a provider is started with.
#[derive(Debug, Clone)]
pub struct PaymentProviderOptions {
    /// The folder of its book; no other process may use it.
    pub folder: PathBuf,
    /// The key that callers have to send as a bearer token; without it every caller is served.
    pub key: Option<String>,
    /// How it behaves at first.
    pub behaviour: ProviderBehaviour,
}

/// A payment provider whose book is open.
pub struct PaymentProvider {
    payments: ProviderPayments,
    routes: Arc<Routes>,
}

impl PaymentProvider {
    /// Opens the book.
    pub fn open(options: PaymentProviderOptions) -> io::Result<Self> {
        let PaymentProviderOptions { folder, key, behaviour } = options;
        let payments = ProviderPayments::new(ChargeBook::open(&folder)?);
        let behaviour = CurrentBehaviour::new(behaviour);
        let routes = Arc::new(Routes::new(payments.clone(), behaviour, key));
        Ok(Self { payments, routes })
    }

    /// Serves until the book can't be written any more. Dropped at any time it loses nothing that was answered.
    pub async fn serve(self, listener: TcpListener) -> io::Error {
        tokio::select! {
            error = connection::accept(listener, self.routes) => error,
            () = self.payments.book.closed() => io::Error::other("the ledger can't be written"),
        }
    }
}
