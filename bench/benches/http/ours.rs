//! GDmarket without projections: the whole HTTP side, keys, receipts and the alarm, but no views.

use crate::listen;
use anyhow::anyhow;
use gdmarket::compose::Market;
use gdmarket::config::{Config, Flag, Sources};
use gdmarket_api::server::{self, Shutdown, StartupGate};

/// Serves until it is killed.
pub(crate) async fn serve(url: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let set = |key, value: String| Flag { flag: "--", key, value };
    let flags = vec![
        set("database.url", url.to_owned()),
        set("server.data_dir", folder.path().display().to_string()),
        set("alarm.delay_ms", "0".to_owned()),
    ];
    let loaded = Config::load(&Sources { flags, ..Sources::default() });
    let config = loaded.map_err(|faults| anyhow!("{faults}"))?.config;
    let market = Market::start_writing_only(&config).await?;
    let listener = listen().await?;
    let (_stage, shutdown) = Shutdown::new();
    let router = market.router(&config, listener.local_addr()?, shutdown.clone());
    server::serve(listener, StartupGate::opened(router), &config.server.http, shutdown).await;
    Ok(())
}
