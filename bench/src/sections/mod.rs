//! What is measured, in the order of the table. Each section lets its contestants go in turn, round
//! after round, and says how the figures stand to the bars.

mod body;
mod build;
mod crowd;
mod fetch;
mod idle;
mod mail;
mod pool;
mod small;

use anyhow::Result;

use crate::Bench;
use crate::bars::Bar;

pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// How it was measured.
    pub(crate) method: String,
    pub(crate) table: String,
    pub(crate) bars: Vec<Bar>,
}

type Measure = fn(&Bench) -> Result<Section>;

pub(crate) const SECTIONS: &[(&str, Measure)] = &[
    ("small", small::measure),
    ("crowd", crowd::measure),
    ("body", body::measure),
    ("idle", idle::measure),
    ("pool", pool::measure),
    ("fetch", fetch::measure),
    ("mail", mail::measure),
    ("build", build::measure),
];

/// The libraries, ours first.
const LIBRARIES: [&str; 6] = ["trunkline", "hyper-util", "reqwest", "awc", "isahc", "aiohttp"];
