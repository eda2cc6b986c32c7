//! Model, devices and engine to a budget, a search and a plan. Pure: everything read before comes in as a value.

pub mod request;
pub mod budget;
pub mod rates;
pub mod interconnect;
pub mod outcome;
pub mod sharding;
pub mod storage;
pub mod pieces;
pub mod weights;
pub mod kv_dtype;
pub mod kv_cache;
pub mod widths;
pub mod activations;
pub mod graphs;
pub mod overhead;
pub mod measured;
pub mod evaluate;
pub mod search;
pub mod throughput;
pub mod target;
pub mod release;
pub mod variant;
pub mod speed;
pub mod alternatives;
pub mod validation;
pub mod make;
