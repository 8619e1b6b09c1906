//! A thousand callers that share ten connections: the distribution of their waits.

use anyhow::Result;
use bench_tables::parameters::{CALLERS, CONNECTION_LIMIT, LIBRARIES, SMALL};

use super::Groups;
use crate::Bench;
use crate::nginx::Nginx;
use crate::rounds::Rounds;

pub(crate) fn measure(bench: &Bench) -> Result<Groups> {
    let server = Nginx::start(&bench.work, 1, 1000)?;
    let arguments = [
        ("url", server.first("/limited")),
        ("length", SMALL.to_string()),
        ("tasks", CALLERS.to_string()),
        ("limit", CONNECTION_LIMIT.to_string()),
        ("warm_up", bench.pick(1.0, 0.7).to_string()),
        ("measured", bench.pick(2.5, 1.0).to_string()),
    ];
    let mut rounds = Rounds::default();
    for round in bench.rounds(5) {
        for client in LIBRARIES {
            rounds.add(round, client, bench.client(client, "contention", &arguments)?);
        }
    }
    Ok(vec![("contention".into(), rounds.summarize())])
}
