//! What `gdmarket dev` prints: what runs where, what is left out, how to try it, and what happens to the parts.

use super::market::DevMarket;
use super::part::PartFacts;
use super::programs::LeftOut;
use super::supervisor::PartReport;
use crate::output::Console;
use crate::output::text::{Text, Tone};
use gdmarket_domain::Service;
use serde_json::json;
use std::time::Duration;
use tokio::sync::mpsc;

/// Prints to the console of the command.
#[derive(Debug, Clone, Copy)]
pub(super) struct DevReport {
    console: Console,
}

impl DevReport {
    pub(super) const fn new(console: Console) -> Self {
        Self { console }
    }

    /// Prints that the parts are about to start.
    pub(super) fn starts(self, market: &DevMarket) {
        let folder = market.folder.shown.display();
        self.console.note(&format!("Starting the parts of the market in {folder} …"));
    }

    /// Prints that the parts are about to end.
    pub(super) fn ends(self) {
        self.console.note("Ending all parts. Ctrl-C again ends them at once.");
    }

    /// Prints what runs where.
    pub(super) fn runs(self, market: &DevMarket) {
        if self.console.is_json() {
            market.chosen.left_out.iter().for_each(print_left_out_json);
            market.running.iter().for_each(|part| print_json(&part.facts, part.pid));
            return;
        }
        for part in &market.running {
            let PartFacts { name, address, data, .. } = &part.facts;
            let line = Text::default()
                .toned(Tone::Good, format!("{name:<17}"))
                .then(format!(" {address:<36} pid {:<8} ", part.pid))
                .toned(Tone::Faint, data.as_str());
            self.console.print(&line);
        }
        for LeftOut { part, consequence, next } in &market.chosen.left_out {
            let line = Text::default()
                .toned(Tone::Bad, format!("{part:<17}"))
                .then(format!(" left out: {consequence}. Type: {next}"));
            self.console.print(&line);
        }
        Console::result("");
        let lines = hints(market);
        Console::result_lines(&lines.join("\n"));
    }

    /// Prints what happens to the parts, for ever.
    pub(super) async fn print_all(self, reports: &mut mpsc::Receiver<PartReport>) {
        while let Some(report) = reports.recv().await {
            match report {
                PartReport::Ended { part, why, last_lines, next_after } => {
                    let delay = shown_delay(next_after);
                    let PartFacts { name, log, .. } = part;
                    let log = log.display();
                    let mut note =
                        format!("{name}: {why}; it is started again in {delay}. The end of {log}:");
                    for line in &last_lines {
                        note.extend(["\n  ", line]);
                    }
                    self.console.note(&note);
                }
                PartReport::Restarted { part, pid } if self.console.is_json() => {
                    print_json(&part, pid);
                }
                PartReport::Restarted { part, pid } => {
                    self.console.note(&format!("{}: runs again, pid {pid}", part.name));
                }
            }
        }
    }
}

fn shown_delay(delay: Duration) -> String {
    match delay.as_secs() {
        0 => format!("{} ms", delay.as_millis()),
        seconds => format!("{seconds} s"),
    }
}

fn print_json(part: &PartFacts, pid: u32) {
    let PartFacts { name, address, data, settings, log } = part;
    Console::result_json(&json!({
        "part": name, "pid": pid, "address": address, "data": data, "settings": settings, "log": log,
    }));
}

fn print_left_out_json(left_out: &LeftOut) {
    let LeftOut { part, consequence, next } = left_out;
    Console::result_json(&json!({
        "part": part, "pid": null, "address": null, "data": null, "leftOut": consequence, "next": next,
    }));
}

/// How to try the market.
fn hints(market: &DevMarket) -> Vec<String> {
    let has_gateway = market.running.iter().any(|part| part.facts.name == "gateway");
    let port = |service| if has_gateway { market.ports.gateway } else { market.ports.of(service) };
    let (items, reservations) = (port(Service::Item), port(Service::Reservation));
    let item = market.running.iter().find(|part| part.facts.name == "item");
    let pid = item.map_or(0, |part| part.pid);
    let mut hints = vec![
        "Try it:".to_owned(),
        format!("  http POST :{items}/items/ itemName=Camera itemPrice=100"),
        format!(
            "  http POST :{reservations}/reservations customerName=YoungEunSong customerId=1 itemNo=1"
        ),
        format!("  http PATCH :{reservations}/reservations/1 paymentStatus=Paid"),
        format!("  http PATCH :{items}/items/1 rentalStatus=Renting"),
        format!("  http :{items}/itemInfoes"),
    ];
    if has_gateway {
        hints.push(format!("  gdmarket demo --url http://127.0.0.1:{items}"));
    }
    hints.push(format!("  gdmarket --config {} events tail", market.folder.shown_at("item.toml")));
    hints.push(format!("  kill -9 {pid}     ends the item service, which is started again"));
    let (folder, logs) = (market.folder.shown.display(), market.folder.shown_at("logs"));
    hints.push(format!("Data are in {folder}, logs in {logs}. Ctrl-C ends all of it."));
    hints
}
