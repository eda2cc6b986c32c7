//! gpudoctor as a library: the stages of the pipeline, in order. A module may use only modules listed above it.

pub mod units;
pub mod version;
pub mod hint;
pub mod reading;
pub mod redact;
pub mod log;
pub mod catalog;
pub mod elf;
pub mod finding;
pub mod advice;
pub mod capture;
pub mod model;
pub mod engine;
pub mod plan;
pub mod judge;
pub mod check;
pub mod diagnose;
pub mod render;
pub mod fetch;
pub mod probe;
pub mod write;
pub mod report;
pub mod explain;
pub mod error;
pub mod cli;
pub mod commands;
