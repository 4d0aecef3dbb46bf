//! What a request costs grows with its size and no faster: the largest input of every shape is held
//! against small ones of the same size in all, by the CPU time of the thread that answers them.

use crate::app::{App, Call, app};
use http::Method;

/// How much larger the large input is, and how many small ones are held against it.
const LARGER: usize = 16;
/// How much more one large input may cost than the small ones together. What is quadratic costs 16 times
/// as much.
const MOST: u64 = 6;
/// How often the large input is sent: the system counts time in slices.
const REPEATED: usize = 8;
/// Less is no measurement.
const SLICE: u64 = 20_000_000;
/// The least of so many tries counts: others' work on the machine only adds.
const TRIES: usize = 2;

/// The CPU time that this thread has used, in nanoseconds.
fn used() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat");
    text.split(' ').next().and_then(|used| used.parse().ok()).expect("a number")
}

async fn cost<'a>(app: &'a App, times: usize, call: impl Fn(&'a App) -> Call<'a>) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..TRIES {
        let before = used();
        for _ in 0..times {
            call(app).send_undocumented().await;
        }
        least = least.min(used().saturating_sub(before));
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

type Making = Box<dyn for<'a> Fn(&'a App) -> Call<'a>>;

/// Every shape, made of so many bytes.
fn shapes(bytes: usize) -> Vec<(&'static str, Making)> {
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
async fn the_largest_input_of_every_shape_costs_no_more_than_its_size() {
    let app = app().await;
    app.camera().await;
    let small = shapes(60 * 1024 / LARGER);
    let large = shapes(60 * 1024);
    let mut faults = vec![];
    for ((name, small), (_, large)) in small.iter().zip(&large) {
        let small = cost(&app, REPEATED * LARGER, small).await;
        let large = cost(&app, REPEATED, large).await;
        println!("{name}: {} µs in small ones, {} µs in large ones", small / 1_000, large / 1_000);
        if large > small.saturating_mul(MOST).saturating_add(SLICE) {
            faults.push(format!("{name}: {small} ns in small ones, {large} ns in large ones"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
