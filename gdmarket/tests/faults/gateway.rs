//! The shipped gateway in front of services that behave and services that don't: which routes, headers and repeats pass,
//! and what its callers see when a service is down.

mod configuration;
mod dead_services;
mod events;
mod foreign_pages;
mod identity;
mod market;
mod raw;
mod refused_paths;
mod repeats;
mod routes;
mod slow_clients;
mod split;
mod stub;
