//! Log lines that callers cause: a refused request leaves one short line, and many of one kind leave few lines
//! with their number.

use crate::command_line::PROGRAM;
use gdmarket_testkit::{Server, ServerOptions, eventually};
use std::time::Duration;
use tokio::time::Instant;

const REQUESTS: usize = 300;
/// Characters of an overlong path.
const PATH_LENGTH: usize = 6_000;
/// The most lines of one kind in ten seconds, and the most characters of a line.
const MAX_LINES: usize = 20;
const MAX_LINE_LENGTH: usize = 1_000;
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
        let path = format!("/items/{}", "x".repeat(PATH_LENGTH));
        let client = reqwest::Client::new();
        let started = Instant::now();
        for _ in 0..REQUESTS {
            let answer = client.get(server.url(&path)).send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 404);
            let body = answer.text().await.expect("text");
            assert!(body.len() < PATH_LENGTH, "the answer contains the whole path: {body}");
        }
        let periods = usize::try_from(started.elapsed().as_secs() / 10).expect("a number") + 1;
        eventually(SOON, || async {
            let lines = refused(&server).len();
            if lines >= MAX_LINES { Ok(()) } else { Err(lines) }
        })
        .await;
        let lines = refused(&server);
        assert!(lines.len() <= MAX_LINES * periods, "{} lines in {periods} periods", lines.len());
        for line in lines {
            assert!(line.len() < MAX_LINE_LENGTH, "{} characters: {line}", line.len());
            assert_eq!(
                line.matches("/items/x").count(),
                1,
                "the line contains the path once: {line}"
            );
        }
    });
}
