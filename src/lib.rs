//! gpudoctor as a library: the stages of the pipeline, in order. A module may use only modules listed above it.

pub mod units;
pub mod version;

pub mod catalog;

pub mod engine;
pub mod finding;
pub mod model;
pub mod plan;
