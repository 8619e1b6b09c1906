//! Tables of the benchmark: the results of a run, their file, and the text that shows them.
//!
//! Apart from the measuring code, so that `./bench/run --tables` compiles no HTTP client.

mod bars;
mod chapters;
pub mod parameters;
mod readme;
mod results;
mod table;

pub use readme::{render, write_readmes};
pub use results::{Environment, Group, Measurement, Results, median};
