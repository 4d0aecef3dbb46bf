//! Subcommands that print something about the program itself and open no log: its settings, its manual, what
//! shells need, the OpenAPI document.

pub(super) mod completions;
pub(super) mod config;
pub(super) mod man;
pub(super) mod openapi;
