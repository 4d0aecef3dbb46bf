//! `/metrics` in Prometheus' text format: every metric has a help text and a type, durations and sizes are histograms,
//! and the names follow the conventions that `promtool check metrics` checks.

use crate::app::app;
use crate::command_line::PROGRAM;
use gdmarket_testkit::{ServerOptions, TestDb, note};
use reqwest::Client;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// One metric: its type, its help text, the names of its samples.
#[derive(Debug, Default)]
struct Family {
    kind: Option<String>,
    help: Option<String>,
    samples: BTreeSet<String>,
}

/// The endings of the samples of a histogram.
const OF_HISTOGRAMS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// The metrics of a text; faults of the format are added to `faults`.
fn families(text: &str, faults: &mut Vec<String>) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let words = line.strip_prefix("# ").and_then(|rest| rest.split_once(' '));
        let Some((word, rest)) = words else {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let value = line.rsplit(' ').next().unwrap_or_default();
            if value.parse::<f64>().is_err() {
                faults.push(format!("{line}: the value is no number"));
            }
            let of_histogram = OF_HISTOGRAMS.iter().find_map(|end| name.strip_suffix(end));
            let histogram = of_histogram.filter(|name| families.contains_key(*name));
            let family = families.entry(histogram.unwrap_or(name).to_owned()).or_default();
            family.samples.insert(name.to_owned());
            continue;
        };
        let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let family = families.entry(name.to_owned()).or_default();
        let place = match word {
            "TYPE" => &mut family.kind,
            "HELP" => &mut family.help,
            _ => continue,
        };
        if place.replace(text.to_owned()).is_some() {
            faults.push(format!("{name}: a second {word}"));
        }
    }
    families
}

/// The faults in a text of metrics.
fn faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, family) in families(text, &mut faults) {
        let kind = family.kind.as_deref().unwrap_or("untyped");
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let rules = [
            (family.help.as_deref().is_some_and(|help| !help.is_empty()), "no help text"),
            (
                matches!(kind, "counter" | "gauge" | "histogram"),
                "neither counter, gauge nor histogram",
            ),
            (name.chars().all(is_name), "the name has other letters than a-z, digits and _"),
            (
                (kind == "counter") == name.ends_with("_total"),
                "counters end with _total, nothing else does",
            ),
            (!name.contains("_ms") && !name.contains("milliseconds"), "durations are in seconds"),
            (
                kind == "histogram" || !OF_HISTOGRAMS.iter().any(|end| name.ends_with(end)),
                "the ending is that of a histogram's samples",
            ),
            (
                kind != "histogram" || family.samples.len() == OF_HISTOGRAMS.len(),
                "a histogram lacks samples",
            ),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        faults.extend(broken.map(|(_, rule)| format!("{name}: {rule}")));
    }
    faults
}

/// The result of `promtool check metrics`; `None`, with a note, if promtool isn't installed.
#[expect(clippy::print_stderr, reason = "a skipped check must be visible")]
fn promtool(text: &str) -> Option<Result<(), String>> {
    const SKIPPED: &str =
        "NOT RUN promtool check metrics: promtool is not installed (Debian: prometheus)";
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        eprintln!("{SKIPPED}");
        note(SKIPPED);
        return None;
    };
    tool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("the metrics are read");
    let output = tool.wait_with_output().expect("promtool ends");
    let message = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Some(if output.status.success() { Ok(()) } else { Err(message) })
}

#[test]
fn metrics_are_described_typed_and_named_as_prometheus_expects() {
    gdmarket_testkit::run(async {
        let db = TestDb::sqlite();
        let server = ServerOptions::new(PROGRAM).on(&db).start().await;
        let client = Client::new();
        let camera = json!({"itemName": "Camera", "itemPrice": 100});
        client.post(server.url("/items")).json(&camera).send().await.expect("an answer");
        client.get(server.url("/nowhere")).send().await.expect("an answer");
        let text = client.get(server.url("/metrics")).send().await.expect("metrics");
        let text = text.text().await.expect("text");
        assert_eq!(faults(&text), [""; 0], "{text}");
        for sample in [
            "gdmarket_build_info{version=\"",
            "gdmarket_append_batch_commands_bucket{le=\"1\"} ",
            "gdmarket_http_request_duration_seconds_bucket{",
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_start_time_seconds ",
        ] {
            assert!(text.lines().any(|line| line.starts_with(sample)), "{sample}: {text}");
        }
        if let Some(Err(message)) = promtool(&text) {
            panic!("promtool check metrics: {message}\n{text}");
        }
    });
}

#[tokio::test]
async fn metrics_have_the_media_type_of_their_format() {
    let app = app().await;
    let answer = app.get("/metrics").expect(200).await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
}

#[test]
fn metric_without_help_or_with_a_wrong_name_is_found() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"y z\"} 1\n";
    assert_eq!(faults(good), [""; 0]);
    for (text, rule) in [
        ("# TYPE a_total counter\na_total 1\n", "no help text"),
        ("# HELP a A.\n# TYPE a counter\na 1\n", "counters end with _total"),
        ("# HELP a A.\n# TYPE a summary\na_sum 1\na_count 1\n", "neither counter"),
        ("# HELP a A.\n# TYPE a histogram\na_sum 1\na_count 1\n", "lacks samples"),
        ("# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n", "in seconds"),
        ("# HELP a A.\n# TYPE a gauge\na one\n", "no number"),
        ("a 1\n", "neither counter"),
    ] {
        assert!(
            faults(text).iter().any(|fault| fault.contains(rule)),
            "{text}: {:?}",
            faults(text)
        );
    }
}
