//! Sections of the benchmark, in the order of the tables. In each the clients take turns, round
//! after round.

mod body;
mod build;
mod contention;
mod fetch;
mod idle;
mod mail;
mod pool;
mod small;

use anyhow::Result;
use bench_tables::Group;

use crate::Bench;

/// Results of a section: groups with their names.
pub(crate) type Groups = Vec<(String, Group)>;

type Measure = fn(&Bench) -> Result<Groups>;

pub(crate) const SECTIONS: &[(&str, Measure)] = &[
    ("small", small::measure),
    ("contention", contention::measure),
    ("body", body::measure),
    ("idle", idle::measure),
    ("pool", pool::measure),
    ("fetch", fetch::measure),
    ("mail", mail::measure),
    ("build", build::measure),
];
