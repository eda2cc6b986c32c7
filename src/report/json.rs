//! The stable contracts. Each is a type of its own, so that inner types can change freely.

pub mod bench;
pub mod gpus;
pub mod check;
pub mod diagnose;
pub mod finding;
pub mod plan;
pub mod startup;
