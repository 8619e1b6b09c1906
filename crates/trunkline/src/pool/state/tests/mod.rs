//! Tests of the rules: each by scripted cases (event, time, expected outcome), all of them by
//! simulation.

#[cfg_attr(trunkline_loom, allow(dead_code, reason = "the model of the shell needs but a part"))]
pub(in crate::pool) mod site;

#[cfg(not(trunkline_loom))]
mod world;

#[cfg(not(trunkline_loom))]
mod closing;
#[cfg(not(trunkline_loom))]
mod dials;
#[cfg(not(trunkline_loom))]
mod figures;
#[cfg(not(trunkline_loom))]
mod idle;
#[cfg(not(trunkline_loom))]
mod leases;
#[cfg(not(trunkline_loom))]
mod limits;
#[cfg(not(trunkline_loom))]
mod queues;
#[cfg(not(trunkline_loom))]
mod requests;
#[cfg(not(trunkline_loom))]
mod simulation;
