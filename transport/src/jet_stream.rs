//! Events over NATS JetStream: the fast path between services. Correctness comes from the logs alone; a stream may lose,
//! repeat and reorder messages, be deleted or be away.
//!
//! Each process with a log has one stream, which its relay writes ([`JetStreamTarget`]). A process that reads this log follows
//! the stream and gives on what continues its log ([`JetStreamFeed`]); everything else it reads from the owner over HTTP.

mod connection;
mod event_message;
mod event_window;
mod expected_event;
mod jet_stream_feed;
mod jet_stream_target;
mod stream_follower;
mod stream_reader;
mod stream_subjects;

pub use connection::{NatsConnection, NatsOptions, NatsSetupError};
pub use jet_stream_feed::JetStreamFeed;
pub use jet_stream_target::{JetStreamTarget, StreamOptions};
