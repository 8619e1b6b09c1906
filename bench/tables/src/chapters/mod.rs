//! Chapters of bench/README.md: one per section of the measurements, with its method, tables and
//! bars.

mod clients;
mod internals;

use crate::bars::Bar;
use crate::results::Results;

pub(crate) struct Chapter {
    pub(crate) title: &'static str,
    /// Description of the measurement.
    pub(crate) method: String,
    pub(crate) tables: String,
    pub(crate) bars: Vec<Bar>,
}

/// The chapters of the sections that were measured.
pub(crate) fn all(results: &Results) -> Vec<Chapter> {
    let chapters = [
        clients::small(results),
        clients::contention(results),
        clients::body(results),
        clients::idle(results),
        internals::pool(results),
        clients::fetch(results),
        internals::mail(results),
        internals::build(results),
    ];
    chapters.into_iter().flatten().collect()
}
