//! Tests of the locked shell: its rules by scripted cases, its interleavings by model checking.
//! Those of the state are in `state/tests`.

#[cfg_attr(trunkline_loom, allow(dead_code, reason = "the model needs but a part"))]
mod token;

#[cfg(trunkline_loom)]
mod model;
#[cfg(not(trunkline_loom))]
mod shell;
