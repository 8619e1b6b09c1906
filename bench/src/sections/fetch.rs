//! Many small pages from many hosts, fetched by commands.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use bench_tables::parameters::{COMMANDS, FETCH_CONCURRENCY, HOSTS, fetched_pages};

use super::Groups;
use crate::Bench;
use crate::nginx::Nginx;
use crate::process::{Output, run};
use crate::rounds::{Metrics, Rounds};

pub(crate) fn measure(bench: &Bench) -> Result<Groups> {
    let pages = fetched_pages(bench.quick);
    let server = Nginx::start(&bench.work, 1, 1000)?;
    let urls: Vec<String> = (0..pages)
        .map(|page| server.url(&format!("/page/{page}")).replace("{}", &(page % HOSTS + 1).to_string()))
        .collect();
    let (list, config) = (bench.work.join("urls.txt"), bench.work.join("urls.curl"));
    fs::write(&list, urls.join("\n") + "\n")?;
    fs::write(&config, curl_config(&urls)?)?;
    let mut rounds = Rounds::default();
    for round in bench.rounds(5) {
        for client in COMMANDS {
            let output = match client {
                "trunkline" => trunkline(&bench.command, &list, pages)?,
                "curl" => curl(&config, pages)?,
                _ => wget2(&list)?,
            };
            let rate = pages as f64 / output.elapsed.as_secs_f64();
            let cpu = output.cpu.as_secs_f64() * 1e6 / pages as f64;
            rounds.add(round, client, Metrics::from([("rate".into(), rate), ("cpu".into(), cpu)]));
        }
    }
    Ok(vec![("fetch".into(), rounds.summarize())])
}

fn trunkline(command: &Path, list: &Path, pages: usize) -> Result<Output> {
    let output = run(Command::new(command).args(["fetch", "-c", &FETCH_CONCURRENCY.to_string(), "-i"]).arg(list))?;
    let fetched = output.stdout.lines().filter(|line| line.starts_with("200 1024 ")).count();
    ensure!(fetched == pages, "trunkline fetched {fetched} pages of {pages}: {}", output.stderr);
    Ok(output)
}

/// Prints a line for each page, as `trunkline fetch` does.
fn curl(config: &Path, pages: usize) -> Result<Output> {
    let format = "%{http_code} %{size_download} %{url}\\n";
    let concurrency = FETCH_CONCURRENCY.to_string();
    let arguments = ["-sS", "--parallel", "--parallel-max", &concurrency, "-w", format, "-K"];
    let output = run(Command::new("curl").args(arguments).arg(config))?;
    let fetched = output.stdout.lines().filter(|line| line.starts_with("200 1024 ")).count();
    ensure!(fetched == pages, "curl fetched {fetched} pages of {pages}: {}", output.stderr);
    Ok(output)
}

fn curl_config(urls: &[String]) -> Result<String> {
    let mut config = String::new();
    for url in urls {
        writeln!(config, "url = \"{url}\"\noutput = \"/dev/null\"")?;
    }
    Ok(config)
}

fn wget2(list: &Path) -> Result<Output> {
    let threads = format!("--max-threads={FETCH_CONCURRENCY}");
    run(Command::new("wget2").args(["--no-config", "-q", &threads, "--tries=1", "-O", "/dev/null", "-i"]).arg(list))
}
