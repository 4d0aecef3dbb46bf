//! A client of `GET /events`, over a real socket.

use gdmarket_testkit::Server;
use reqwest::{Client, Response};
use serde_json::Value;
use std::time::Duration;

/// The longest until a frame comes.
const SOON: Duration = Duration::from_secs(30);

/// One open event stream.
pub(crate) struct EventStreamClient {
    response: Response,
    text: String,
    /// The first frame.
    pub(crate) hello: String,
    /// The id of the last frame, to resume after.
    pub(crate) last_id: String,
}

impl EventStreamClient {
    /// Opens the stream from now on, or after the event of an id, and reads the first frame.
    pub(crate) async fn open(server: &Server, query: &str, last_id: Option<&str>) -> Self {
        Self::open_url(&server.url(&format!("/events{query}")), last_id).await
    }

    /// The same at an address in front of the server.
    pub(crate) async fn open_url(url: &str, last_id: Option<&str>) -> Self {
        let mut call = Client::new().get(url);
        if let Some(id) = last_id {
            call = call.header("last-event-id", id);
        }
        let response = call.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let (text, hello, last_id) = Default::default();
        let mut stream = Self { response, text, hello, last_id };
        stream.hello = stream.frame().await.expect("a first frame");
        assert!(stream.hello.contains("retry: "), "{}", stream.hello);
        stream
    }

    /// The next frame; `None` once the server has ended the stream.
    pub(crate) async fn frame(&mut self) -> Option<String> {
        self.try_frame().await.expect("a stream")
    }

    /// The same; an error when the connection is lost.
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
            let frame = self.frame().await.expect("the stream continues");
            let data = frame.lines().find_map(|line| line.strip_prefix("data: "));
            if let Some(data) = data {
                return serde_json::from_str(data).expect("JSON on one line");
            }
        }
    }
}
