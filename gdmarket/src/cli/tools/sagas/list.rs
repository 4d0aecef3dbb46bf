//! `gdmarket sagas list`: the open steps, as a table or as JSON lines.

use super::{note_unseen, table};
use crate::output::progress::ProgressLine;
use crate::output::result_writer::ResultWriter;
use crate::output::{Console, Failure};
use clap::{Args, ValueEnum};
use gdmarket_domain::{Service, Services};
use gdmarket_projections::{OpenSagas, SagaRow, Sagas};
use gdmarket_store::Store;

#[derive(Debug, Clone, Args)]
pub(super) struct OpenSagaArgs {
    /// Only what failed, or needs an operator.
    #[arg(long)]
    failed: bool,
    /// Only what this service has to do next, or a person through it.
    #[arg(long, value_enum)]
    service: Option<ServiceArg>,
    /// How many at most.
    #[arg(long, value_name = "COUNT", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ServiceArg {
    Item,
    Reservation,
    Payment,
    Alarm,
}

impl ServiceArg {
    const fn service(self) -> Service {
        match self {
            Self::Item => Service::Item,
            Self::Reservation => Service::Reservation,
            Self::Payment => Service::Payment,
            Self::Alarm => Service::Alarm,
        }
    }
}

impl OpenSagaArgs {
    fn selects(&self, row: &SagaRow) -> bool {
        let is_of = |service: ServiceArg| service.service().name() == row.service;
        (row.is_failed || !self.failed) && self.service.is_none_or(is_of)
    }
}

pub(super) async fn run(
    store: Store,
    services: Services,
    args: &OpenSagaArgs,
    console: Console,
) -> Result<(), Failure> {
    let head = store.log().head().await?;
    let sagas = Sagas::new(store, services);
    let steps = |position: i64| u64::try_from(position).unwrap_or(0);
    let progress = ProgressLine::start(console, "reading events", steps(head));
    let found = sagas.open(&mut |position| progress.reached(steps(position))).await?;
    progress.finish_silently();
    note_unseen(&sagas, console);
    note_omissions(&found, console);
    let selected: Vec<SagaRow> = found.rows.into_iter().filter(|row| args.selects(row)).collect();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let shown = selected.get(..limit).unwrap_or(&selected);
    let mut out = ResultWriter::new(console);
    if console.is_json() {
        for row in shown {
            // Serialising texts, numbers and times cannot fail.
            out.line(serde_json::to_string(row).unwrap_or_default())?;
        }
    } else if shown.is_empty() {
        let is_filtered = args.failed || args.service.is_some();
        console.note(if is_filtered { "No open saga matches." } else { "No saga is open." });
    } else {
        for line in table::lines(shown) {
            out.line(line)?;
        }
    }
    out.flush()?;
    let left = selected.len() - shown.len();
    if left > 0 {
        console.note(&format!("{left} more: --limit {}", selected.len()));
    }
    Ok(())
}

/// Notes what the list doesn't show.
fn note_omissions(found: &OpenSagas, console: Console) {
    if let Some(of) = found.unreadable {
        let (count, first) = (of.count, of.first);
        console.note(&format!(
            "Events that can't be read are left out: {count}, the first at position {first}; \
             see gdmarket check"
        ));
    }
    if found.parked_elsewhere > 0 {
        let count = found.parked_elsewhere;
        console.note(&format!("Parked, and of no saga: {count}; see gdmarket parked list"));
    }
}
