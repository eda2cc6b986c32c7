//! What an engine makes of its arguments: the flags as given, and the effective launch that they mean.

pub mod arguments;
pub mod yaml;
pub mod era;
pub mod launch;
pub mod capture_sizes;
pub mod resolve;
pub mod judge;
