//! Memory of idle connections.

use anyhow::{Result, ensure};
use bench_tables::parameters::{HOSTS, LIBRARIES, SMALL, idle_connections};

use super::Groups;
use crate::Bench;
use crate::nginx::Nginx;
use crate::rounds::Rounds;

pub(crate) fn measure(bench: &Bench) -> Result<Groups> {
    let connections = idle_connections(bench.quick);
    // A page takes about five seconds, so that all requests run at once, each on its own
    // connection.
    let server = Nginx::start(&bench.work, 1, bench.pick(30, 60))?;
    let arguments = [
        ("url", server.url("/slow")),
        ("hosts", HOSTS.to_string()),
        ("length", SMALL.to_string()),
        ("tasks", connections.to_string()),
        ("limit", "0".to_owned()),
    ];
    let mut rounds = Rounds::default();
    for round in bench.rounds(3) {
        for client in LIBRARIES {
            // A client that fails here has no row; the others are measured all the same.
            let metrics = match bench.client(client, "idle", &arguments) {
                Err(error) if client != "trunkline" => {
                    eprintln!("{error:#}");
                    continue;
                }
                metrics => metrics?,
            };
            let open = metrics.get("connections").copied().unwrap_or_default();
            ensure!(open > 0.95 * connections as f64, "{client} has {open} open connections of {connections}");
            rounds.add(round, client, metrics);
        }
    }
    Ok(vec![("idle".into(), rounds.summarize())])
}
