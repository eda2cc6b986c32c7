//! What an engine makes of its arguments: the flags as given, and the effective launch that they mean.

pub mod arguments;
pub mod judge;
pub mod launch;
pub mod yaml;
