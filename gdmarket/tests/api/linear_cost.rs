//! The cost of a request grows linearly with its size: the CPU time of the largest input of each shape is
//! compared with that of small inputs of the same total size.

use crate::app::{App, Call, app};
use http::Method;

/// The factor between the sizes of the large input and a small one, and the number of small ones.
const SIZE_FACTOR: usize = 16;
/// How many times as much as the small inputs together the large one may cost. Quadratic cost would be 16
/// times as much.
const MAX_COST_FACTOR: u64 = 6;
/// How often the large input is sent, since the system counts time in slices.
const REPETITIONS: usize = 8;
/// Differences below one time slice are ignored.
const SLICE_NS: u64 = 20_000_000;
/// The smallest of this many measurements counts, since other work on the machine only adds to it.
const TRIES: usize = 2;

/// The CPU time that this thread has used, in nanoseconds.
fn cpu_time_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat");
    text.split(' ').next().and_then(|time| time.parse().ok()).expect("a number")
}

async fn cost<'a>(app: &'a App, times: usize, call: impl Fn(&'a App) -> Call<'a>) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..TRIES {
        let before = cpu_time_ns();
        for _ in 0..times {
            call(app).send_undocumented().await;
        }
        least = least.min(cpu_time_ns().saturating_sub(before));
    }
    least
}

fn body(text: String) -> impl for<'a> Fn(&'a App) -> Call<'a> {
    move |app| app.call(Method::POST, "/items").bytes(text.clone())
}

fn query(text: String) -> impl for<'a> Fn(&'a App) -> Call<'a> {
    move |app| app.get(&format!("/items?{text}"))
}

fn header(name: &'static str, text: String) -> impl for<'a> Fn(&'a App) -> Call<'a> {
    move |app| app.get("/items/1").header(name, &text)
}

type MakeCall = Box<dyn for<'a> Fn(&'a App) -> Call<'a>>;

/// One request of each shape with about this many bytes.
fn shapes(bytes: usize) -> Vec<(&'static str, MakeCall)> {
    let list = |one: &str| vec![one; bytes / (one.len() + 1)].join(",");
    let numbered =
        |count: usize| (0..count).map(|n| format!("\"f{n:05}\":0")).collect::<Vec<_>>().join(",");
    vec![
        ("different fields", Box::new(body(format!("{{{}}}", numbered(bytes / 10))))),
        ("one field often", Box::new(body(format!("{{{}}}", list("\"a\":0"))))),
        ("deep", Box::new(body(format!("{{\"a\":{}", "[".repeat(bytes))))),
        ("an ignored list", Box::new(body(format!("{{\"itemStatus\":[{}]}}", list("1"))))),
        ("a long name", Box::new(body(format!("{{\"itemName\":\"{}\"}}", "x".repeat(bytes))))),
        (
            "marks",
            Box::new(body(format!("{{\"itemName\":\"a{}\"}}", "\u{301}\u{323}".repeat(bytes / 4)))),
        ),
        (
            "escapes",
            Box::new(body(format!("{{\"itemName\":\"{}\"}}", "\\u0041".repeat(bytes / 6)))),
        ),
        ("a long number", Box::new(body(format!("{{\"itemPrice\":{}}}", "9".repeat(bytes))))),
        ("blanks", Box::new(body(format!("{{{}}}", " ".repeat(bytes))))),
        ("quotes", Box::new(body("\"\"".repeat(bytes / 2)))),
        ("not closed", Box::new(body(format!("{{{}", list("\"a\":\"b\""))))),
        ("controls", Box::new(body(format!("{{\"itemName\":\"{}\"}}", "\u{1}".repeat(bytes))))),
        ("parameters", Box::new(query(vec!["a=b"; bytes / 4].join("&")))),
        ("a long parameter", Box::new(query(format!("after={}", "x".repeat(bytes))))),
        ("accepted types", Box::new(header("accept", list("application/json;q=0.1")))),
        ("languages", Box::new(header("accept-language", list("ko;q=0.1")))),
        ("tags", Box::new(header("if-none-match", list("\"1.0\"")))),
        ("quotes in tags", Box::new(header("if-match", list("W/\"a,b\"")))),
        ("preferences", Box::new(header("prefer", list("wait=1")))),
        ("an actor", Box::new(header("x-gdmarket-actor", "x".repeat(bytes)))),
    ]
}

#[tokio::test]
async fn cost_of_a_request_is_linear_in_its_size() {
    let app = app().await;
    app.camera().await;
    let small = shapes(60 * 1024 / SIZE_FACTOR);
    let large = shapes(60 * 1024);
    let mut faults = vec![];
    for ((name, small), (_, large)) in small.iter().zip(&large) {
        let small = cost(&app, REPETITIONS * SIZE_FACTOR, small).await;
        let large = cost(&app, REPETITIONS, large).await;
        println!("{name}: {} µs in small ones, {} µs in large ones", small / 1_000, large / 1_000);
        if large > small.saturating_mul(MAX_COST_FACTOR).saturating_add(SLICE_NS) {
            faults.push(format!("{name}: {small} ns in small ones, {large} ns in large ones"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
