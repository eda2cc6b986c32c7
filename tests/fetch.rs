//! Models from disk, from a cache and from a hub on this machine, read as a user would have them read.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

#[path = "fetch/files.rs"]
mod files;
#[path = "fetch/server.rs"]
mod server;

#[path = "fetch/cache.rs"]
mod cache;
#[path = "fetch/hub.rs"]
mod hub;
#[path = "fetch/hub_failures.rs"]
mod hub_failures;
#[path = "fetch/local.rs"]
mod local;
#[path = "fetch/shards.rs"]
mod shards;
