//! The pool's own cost: checkout and return, and the grant to a waiter.

use std::process::Command;

use anyhow::Result;
use bench_tables::{Group, Measurement};

use super::Groups;
use crate::Bench;
use crate::process::metrics;
use crate::rounds::Rounds;

/// The operations, each with the operation its factor is relative to.
const OPERATIONS: [(&str, Option<&str>); 5] = [
    ("one_host", None),
    ("many_hosts", Some("one_host")),
    ("beside_waiters", Some("one_host")),
    ("grant_to_few", None),
    ("grant_to_many", Some("grant_to_few")),
];

pub(crate) fn measure(bench: &Bench) -> Result<Groups> {
    const POOL: &str = "pool";
    let mut rounds = Rounds::default();
    for round in bench.rounds(5) {
        let mut command = Command::new(&bench.pool);
        if bench.quick {
            command.arg("--quick");
        }
        rounds.add(round, POOL, metrics(&mut command)?);
    }
    let mut group = Group::default();
    for (operation, base) in OPERATIONS {
        let ratio = base.and_then(|base| rounds.ratio((POOL, operation), (POOL, base)));
        if let Some(median) = rounds.median(POOL, operation) {
            let measurement = Measurement { median, ratio };
            group.0.entry(operation.to_owned()).or_default().insert("ns".into(), measurement);
        }
    }
    Ok(vec![("pool".into(), group)])
}
