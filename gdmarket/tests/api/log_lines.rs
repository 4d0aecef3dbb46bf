//! What callers can have written to the log: a refused request leaves one short line, and many of one kind
//! leave few lines that say how many there were.

use crate::command_line::PROGRAM;
use gdmarket_testkit::{Server, ServerOptions, eventually};
use std::time::Duration;
use tokio::time::Instant;

const REQUESTS: usize = 300;
/// Characters of a path that somebody has made long on purpose.
const LONG: usize = 6_000;
/// Lines of one kind in ten seconds, and characters of one line.
const LINES: usize = 20;
const LINE: usize = 1_000;
const SOON: Duration = Duration::from_secs(20);

/// The lines about refused requests.
fn refused(server: &Server) -> Vec<String> {
    let log = server.stderr();
    log.lines().filter(|line| line.contains("request refused")).map(str::to_owned).collect()
}

#[test]
fn refused_requests_leave_few_and_short_lines() {
    gdmarket_testkit::run(async {
        let server = ServerOptions::new(PROGRAM).start().await;
        let path = format!("/items/{}", "x".repeat(LONG));
        let client = reqwest::Client::new();
        let began = Instant::now();
        for _ in 0..REQUESTS {
            let answer = client.get(server.url(&path)).send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 404);
            let body = answer.text().await.expect("text");
            assert!(body.len() < LONG, "the whole path comes back: {body}");
        }
        let periods = usize::try_from(began.elapsed().as_secs() / 10).expect("a number") + 1;
        eventually(SOON, || async {
            let lines = refused(&server).len();
            if lines >= LINES { Ok(()) } else { Err(lines) }
        })
        .await;
        let lines = refused(&server);
        assert!(lines.len() <= LINES * periods, "{} lines in {periods} periods", lines.len());
        for line in lines {
            assert!(line.len() < LINE, "{} characters: {line}", line.len());
            assert_eq!(line.matches("/items/x").count(), 1, "the path is there once: {line}");
        }
    });
}
