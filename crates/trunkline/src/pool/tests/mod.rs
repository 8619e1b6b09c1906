//! Tests of the pool: each rule by scripted cases, all of them by simulation, the locked shell by model checking.

#[cfg_attr(trunkline_loom, allow(dead_code, reason = "the model needs but a part"))]
mod site;
#[cfg_attr(trunkline_loom, allow(dead_code, reason = "the model needs but a part"))]
mod token;

#[cfg(trunkline_loom)]
mod model;
#[cfg(not(trunkline_loom))]
mod rules;
#[cfg(not(trunkline_loom))]
mod shell;
#[cfg(not(trunkline_loom))]
mod simulation;
#[cfg(not(trunkline_loom))]
mod world;
