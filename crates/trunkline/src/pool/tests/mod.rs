//! Tests of the pool: each rule by scripted cases, all of them by simulation, the locked shell by model checking.

#[cfg(trunkline_loom)]
mod model;
#[cfg(not(trunkline_loom))]
mod rules;
#[cfg(not(trunkline_loom))]
mod shell;
#[cfg(not(trunkline_loom))]
mod simulation;
mod token;
mod world;
