//! The figures of an engine's start, read from its log, and what follows from them: the budget that was, the values that
//! would have fitted, and how far the plan was off. Pure.

pub mod printed;
pub mod oom;
pub mod dump;
pub mod failure;
pub mod figures;
pub mod lines;
pub mod subject;
pub mod rebuilt;

pub use figures::{Figures, Rank, Run};
pub use lines::LITERALS;
pub use rebuilt::{Known, Rebuilt};
