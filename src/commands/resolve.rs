//! What `plan` reads: rules, a configuration, a model. What the values mean is decided in [`crate::plan`].

pub mod configuration;
pub mod model;
pub mod rules;
