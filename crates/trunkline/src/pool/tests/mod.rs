//! Tests of the shared state: its rules by scripted cases, its interleavings by model checking.
//! Tests of the state itself are in `state/tests`.

#[cfg_attr(trunkline_loom, allow(dead_code, reason = "the models need only a part"))]
mod token;

#[cfg(trunkline_loom)]
mod model;
#[cfg(not(trunkline_loom))]
mod shared;
