//! Subcommands about the program itself, which open no log: settings, manual, completions, OpenAPI document.

pub(super) mod completions;
pub(super) mod config;
pub(super) mod man;
pub(super) mod openapi;
