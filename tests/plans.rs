//! Plans end to end: what is chosen for many models on many cards, what public runs of the engine did, the 70B
//! model in 7 GiB, and laws that hold for every launch.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/program.rs"]
mod program;
#[path = "plans/support.rs"]
mod support;

#[path = "plans/combinations.rs"]
mod combinations;
#[path = "plans/differences.rs"]
mod differences;
#[path = "plans/laws.rs"]
mod laws;
#[path = "plans/public_runs.rs"]
mod public_runs;
#[path = "plans/seventy_billion.rs"]
mod seventy_billion;
