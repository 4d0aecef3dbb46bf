//! The market over HTTP, as a library: routes, extractors, problems, the OpenAPI document, the server.
//!
//! A request goes through the request pipeline of [`server`], is read strictly, and goes to one of two halves: the
//! writing half knows no query, and the reading half knows no command. All settings come in [`HttpOptions`]; this crate
//! reads no configuration file, variable or flag.

mod absent_services;
mod command_router;
pub mod docs;
mod extract;
mod health;
mod http_options;
mod internal;
mod method_name;
pub mod openapi;
pub mod problem;
mod query_router;
mod representation;
mod resource;
mod router;
pub mod server;
mod token;
mod trace;

pub use axum::Router;
pub use http_options::HttpOptions;
pub use router::{MarketParts, RouterOptions, router};
pub use token::Tokens;
