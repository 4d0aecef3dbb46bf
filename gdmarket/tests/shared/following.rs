//! A follower of `GET /events`, over a real socket.

use gdmarket_testkit::Server;
use reqwest::{Client, Response};
use serde_json::Value;
use std::time::Duration;

/// What a test may wait for one frame.
const SOON: Duration = Duration::from_secs(30);

/// A stream as a client reads it.
pub(crate) struct Following {
    response: Response,
    text: String,
    /// The first frame.
    pub(crate) hello: String,
    /// What to come back with.
    pub(crate) last_id: String,
}

impl Following {
    /// From now on, or from where an id says; beyond the first frame.
    pub(crate) async fn open(server: &Server, query: &str, last_id: Option<&str>) -> Self {
        let mut call = Client::new().get(server.url(&format!("/events{query}")));
        if let Some(id) = last_id {
            call = call.header("last-event-id", id);
        }
        let response = call.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let (text, hello, last_id) = Default::default();
        let mut following = Self { response, text, hello, last_id };
        following.hello = following.frame().await.expect("a first frame");
        assert!(following.hello.contains("retry: "), "{}", following.hello);
        following
    }

    /// The next frame; `None` at an orderly end.
    pub(crate) async fn frame(&mut self) -> Option<String> {
        self.try_frame().await.expect("a stream")
    }

    /// The same; an error when it is cut off.
    pub(crate) async fn try_frame(&mut self) -> Result<Option<String>, reqwest::Error> {
        let end = loop {
            if let Some(end) = self.text.find("\n\n") {
                break end;
            }
            let chunk = tokio::time::timeout(SOON, self.response.chunk()).await;
            let Some(chunk) = chunk.expect("a frame in time")? else { return Ok(None) };
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        };
        let frame: String = self.text.drain(..end + 2).collect();
        if let Some(id) = frame.lines().find_map(|line| line.strip_prefix("id: ")) {
            id.clone_into(&mut self.last_id);
        }
        Ok(Some(frame))
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Value {
        loop {
            let frame = self.frame().await.expect("the stream goes on");
            let data = frame.lines().find_map(|line| line.strip_prefix("data: "));
            if let Some(data) = data {
                return serde_json::from_str(data).expect("JSON on one line");
            }
        }
    }
}
