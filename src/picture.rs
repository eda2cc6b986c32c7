//! Pictures of figures: charts as SVG, bars as text. Pure: the same figures give the same bytes.
//!
//! What is drawn is handed over in units of its data; scales turn it into places. Pictures hold no scripts and load nothing, and
//! say in words whatever their colours say.

pub mod bar;
pub mod budget;
pub mod chart;
mod legend;
pub mod pen;
pub mod roofline;
mod scale;
