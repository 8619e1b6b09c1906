//! What the pool itself costs: checkout and return, handing on.

use std::process::Command;

use anyhow::Result;

use super::Section;
use crate::Bench;
use crate::bars::Bar;
use crate::figures::Rounds;
use crate::process::figures;
use crate::table::{number, table};

const POOL: &str = "trunkline";

pub(crate) fn measure(bench: &Bench) -> Result<Section> {
    let mut rounds = Rounds::default();
    for round in bench.rounds(5) {
        let mut command = Command::new(&bench.pool);
        if bench.quick {
            command.arg("--quick");
        }
        rounds.add(round, POOL, figures(&mut command)?);
    }
    let ratio = |one: &str, other: &str| rounds.ratio_of((POOL, one), (POOL, other));
    let rows = [
        ("checkout + return, 1 host", "one_host", "one_host"),
        ("checkout + return, 10,000 hosts", "many_hosts", "one_host"),
        ("checkout + return beside 100,000 waiting for another host", "beside_waiters", "one_host"),
        ("return + grant, up to 100 waiting", "grant_to_few", "grant_to_few"),
        ("return + grant, 100,000 waiting", "grant_to_many", "grant_to_few"),
    ];
    let rows = rows.map(|(title, figure, base)| {
        let factor = ratio(figure, base).filter(|_| figure != base);
        vec![
            title.to_owned(),
            rounds.median(POOL, figure).map_or_else(String::new, number),
            factor.map_or("–".to_owned(), number),
        ]
    });
    Ok(Section {
        title: "The pool itself",
        method: "In nanoseconds, on one thread, locks included, over connections that are nothing (`pool/`, `crates/trunkline/src/pool/bench.rs`): a request asks \
                 for a connection and drops its lease; with waiters, a lease is dropped and the oldest that waits polled to its own. The factor \
                 is against 1 host, or against up to 100 waiting. No peer's pool can be asked by itself."
            .into(),
        table: table(&["trunkline's pool", "ns", "factor"], &rows),
        bars: vec![
            Bar::at_most("checkout + return, 1 host", 150.0, rounds.median(POOL, "one_host"), " ns"),
            Bar::at_most("checkout + return, 10,000 hosts ÷ 1 host", 1.5, ratio("many_hosts", "one_host"), ""),
            Bar::at_most("checkout + return, beside 100,000 waiting ÷ none", 1.5, ratio("beside_waiters", "one_host"), ""),
            Bar::at_most("return + grant, 100,000 waiting ÷ up to 100", 1.5, ratio("grant_to_many", "grant_to_few"), ""),
        ],
    })
}
