//! Model, devices and engine to a budget, a search and a plan. Pure: everything read before comes in as a value.

pub mod budget;
pub mod outcome;
pub mod request;
