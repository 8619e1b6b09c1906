//! Tests of the rules: each rule by scripted cases (event, time, expected outcome), all rules by
//! simulation.

#[cfg_attr(trunkline_loom, allow(dead_code, reason = "the loom models need only a part"))]
pub(in crate::pool) mod site;

#[cfg(not(trunkline_loom))]
mod harness;

#[cfg(not(trunkline_loom))]
mod closing;
#[cfg(not(trunkline_loom))]
mod dials;
#[cfg(not(trunkline_loom))]
mod idle;
#[cfg(not(trunkline_loom))]
mod leases;
#[cfg(not(trunkline_loom))]
mod limits;
#[cfg(not(trunkline_loom))]
mod metrics;
#[cfg(not(trunkline_loom))]
mod queues;
#[cfg(not(trunkline_loom))]
mod requests;
#[cfg(not(trunkline_loom))]
mod simulation;
