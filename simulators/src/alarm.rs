//! An alarm inside the program, as slow and unreliable as its options say.
//!
//! It only writes a log line; the durable record is `Alerted` on the alarm's stream.

use crate::latency::random_latency;
use async_trait::async_trait;
use gdmarket_commands::{AlarmDown, AlarmSender};
use gdmarket_domain::ItemNo;

/// How the in-process alarm behaves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InProcessAlarmOptions {
    /// The delay of a call in milliseconds.
    pub delay_ms: u64,
    /// The maximum of the random additional delay in milliseconds.
    pub jitter_ms: u64,
    /// The share of calls that fail, 0 to 1.
    pub fail_rate: f64,
}

/// The alarm of a market without external services.
pub struct InProcessAlarm {
    options: InProcessAlarmOptions,
}

impl InProcessAlarm {
    /// An alarm with this behaviour.
    pub const fn new(options: InProcessAlarmOptions) -> Self {
        Self { options }
    }
}

#[async_trait]
impl AlarmSender for InProcessAlarm {
    async fn alert(&self, item_no: ItemNo) -> Result<(), AlarmDown> {
        tokio::time::sleep(random_latency(self.options.delay_ms, self.options.jitter_ms)).await;
        if rand::random::<f64>() < self.options.fail_rate {
            return Err(AlarmDown("it fails at the configured rate".to_owned()));
        }
        tracing::debug!(item_no = item_no.get(), "alarm");
        Ok(())
    }
}
