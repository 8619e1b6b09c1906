//! What a connection that nobody uses costs in memory.

use anyhow::{Result, ensure};

use super::{LIBRARIES, Section};
use crate::Bench;
use crate::bars::Bar;
use crate::figures::Rounds;
use crate::nginx::{HOSTS, Nginx, SMALL};
use crate::table::{Column, compare, number, table};

pub(crate) fn measure(bench: &Bench) -> Result<Section> {
    let connections: usize = bench.pick(5_000, 2_000);
    // A page takes about five seconds, so that all are on their way at once, each on a connection of
    // its own.
    let server = Nginx::start(&bench.work, 1, bench.pick(30, 60))?;
    let plan = [
        ("url", server.url("/slow")),
        ("hosts", HOSTS.to_string()),
        ("length", SMALL.to_string()),
        ("tasks", connections.to_string()),
        ("limit", "0".to_owned()),
    ];
    let mut rounds = Rounds::default();
    for round in bench.rounds(3) {
        for who in LIBRARIES {
            // One that cannot do it has no row; the others are measured all the same.
            let figures = match bench.client(who, "idle", &plan) {
                Err(error) if who != "trunkline" => {
                    eprintln!("{error:#}");
                    continue;
                }
                figures => figures?,
            };
            let open = figures.get("connections").copied().unwrap_or_default();
            ensure!(open > 0.95 * connections as f64, "{who} keeps {open} connections of {connections}");
            rounds.add(round, who, figures);
        }
    }
    let shown = number(connections as f64);
    let columns = [Column::Figure("memory"), Column::Ratio("memory"), Column::Figure("connections")];
    Ok(Section {
        title: "Memory of an idle connection",
        method: format!(
            "{shown} pages asked for at once from {HOSTS} hosts and read to their ends; then the process's anonymous memory, less what it was \
             before, for each connection that is still open. In user space: the kernel's buffers are not counted. The allocator is told to give back what \
             is free first (`malloc_trim`)."
        ),
        table: table(
            &[&format!("{shown} idle"), "KiB a connection", "trunkline's ÷ it", "connections"],
            &compare(&rounds, &LIBRARIES, &columns),
        ),
        bars: vec![Bar::at_most("memory of an idle connection", 20.0, rounds.median("trunkline", "memory"), " KiB")],
    })
}
