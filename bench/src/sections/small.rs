//! Small pages over reused connections: requests per second, and CPU time per request.

use std::process::Command;

use anyhow::{Context as _, Result};
use bench_tables::parameters::{LIBRARIES, SMALL, SMALL_SETTINGS, small_group};

use super::Groups;
use crate::Bench;
use crate::nginx::Nginx;
use crate::process::run;
use crate::rounds::{Metrics, Rounds};

pub(crate) fn measure(bench: &Bench) -> Result<Groups> {
    let servers = [Nginx::start(&bench.work, 1, 1000)?, Nginx::start(&bench.work, 2, 1000)?];
    let clients = [&LIBRARIES[..], &["wrk", "socket"]].concat();
    let mut settings: [Rounds; SMALL_SETTINGS.len()] = Default::default();
    for round in bench.rounds(5) {
        for (rounds, (in_flight, threads)) in settings.iter_mut().zip(SMALL_SETTINGS) {
            let url = servers[threads - 1].first("/");
            for &client in &clients {
                // Python's event loop has one thread.
                if client == "aiohttp" && threads > 1 {
                    continue;
                }
                let metrics = match client {
                    "wrk" => wrk(&url, in_flight, threads)?,
                    _ => library(bench, client, &url, in_flight, threads)?,
                };
                rounds.add(round, client, metrics);
            }
        }
    }
    let names = SMALL_SETTINGS.map(|(in_flight, threads)| small_group(in_flight, threads));
    Ok(names.into_iter().zip(settings.iter().map(Rounds::summarize)).collect())
}

fn library(bench: &Bench, client: &str, url: &str, in_flight: usize, threads: usize) -> Result<Metrics> {
    let arguments = [
        ("url", url.to_owned()),
        ("length", SMALL.to_string()),
        ("threads", threads.to_string()),
        ("tasks", in_flight.to_string()),
        ("warm_up", "0.3".to_owned()),
        ("measured", bench.pick(1.0, 0.3).to_string()),
    ];
    bench.client(client, "small", &arguments)
}

fn wrk(url: &str, in_flight: usize, threads: usize) -> Result<Metrics> {
    let threads = threads.min(in_flight);
    let output = run(Command::new("wrk").args([
        format!("-t{threads}"),
        format!("-c{in_flight}"),
        "-d1s".to_owned(),
        url.to_owned(),
    ]))?;
    let after = |word: &str| output.stdout.lines().find_map(|line| line.trim().strip_prefix(word).map(str::trim));
    let rate: f64 = after("Requests/sec:").context("wrk prints no rate")?.parse()?;
    let count = output.stdout.lines().find_map(|line| line.trim().split_once(" requests in"));
    let pages: f64 = count.context("wrk prints no count of requests")?.0.parse()?;
    let cpu = output.cpu.as_secs_f64() * 1e6 / pages;
    Ok(Metrics::from([("rate".into(), rate), ("time".into(), in_flight as f64 * 1e6 / rate), ("cpu".into(), cpu)]))
}
