//! From names to values: rules, devices, engine release, model. Everything that `plan` reads is read here.

pub mod devices;
pub mod engine;
pub mod model;
pub mod rules;
