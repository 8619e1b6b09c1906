//! Many small pages from many hosts, by commands.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::Section;
use crate::Bench;
use crate::bars::Bar;
use crate::figures::{Figures, Rounds};
use crate::nginx::{HOSTS, Nginx};
use crate::process::{Done, run};
use crate::table::{Column, compare, number, table};

const COMMANDS: [&str; 3] = ["trunkline", "curl", "wget2"];
const CONCURRENCY: usize = 100;

pub(crate) fn measure(bench: &Bench) -> Result<Section> {
    let pages: usize = bench.pick(20_000, 2_000);
    let server = Nginx::start(&bench.work, 1, 1000)?;
    let urls: Vec<String> = (0..pages)
        .map(|page| server.url(&format!("/page/{page}")).replace("{}", &(page % HOSTS + 1).to_string()))
        .collect();
    let (list, config) = (bench.work.join("urls.txt"), bench.work.join("urls.curl"));
    fs::write(&list, urls.join("\n") + "\n")?;
    fs::write(&config, curl_config(&urls)?)?;
    let mut rounds = Rounds::default();
    for round in bench.rounds(5) {
        for who in COMMANDS {
            let done = match who {
                "trunkline" => trunkline(&bench.command, &list, pages)?,
                "curl" => curl(&config, pages)?,
                _ => wget2(&list)?,
            };
            let rate = pages as f64 / done.took.as_secs_f64();
            let cpu = done.cpu.as_secs_f64() * 1e6 / pages as f64;
            rounds.add(round, who, Figures::from([("rate".into(), rate), ("cpu".into(), cpu)]));
        }
    }
    let columns = [Column::Figure("rate"), Column::Ratio("rate"), Column::Figure("cpu"), Column::Ratio("cpu")];
    let shown = number(pages as f64);
    Ok(Section {
        title: "Many small pages, by command",
        method: format!(
            "{shown} pages of 1 KiB, from {HOSTS} hosts in turn, {CONCURRENCY} at once, from start to exit: `trunkline fetch -c {CONCURRENCY} -i`, \
             `curl --parallel --parallel-max {CONCURRENCY} -K`, `wget2 --max-threads={CONCURRENCY} -i`. The pages themselves are thrown away."
        ),
        table: table(
            &[&format!("{shown} pages"), "pages/s", "trunkline's ÷ it", "CPU µs a page", "trunkline's ÷ it"],
            &compare(&rounds, &COMMANDS, &columns),
        ),
        bars: vec![
            Bar::at_least(
                "pages/s of `trunkline fetch` ÷ `curl --parallel`'s",
                2.0,
                rounds.ratio("trunkline", "curl", "rate"),
                "",
            ),
            Bar::at_least(
                "pages/s of `trunkline fetch` ÷ `wget2`'s",
                2.0,
                rounds.ratio("trunkline", "wget2", "rate"),
                "",
            ),
        ],
    })
}

fn trunkline(command: &Path, list: &Path, pages: usize) -> Result<Done> {
    let done = run(Command::new(command).args(["fetch", "-c", &CONCURRENCY.to_string(), "-i"]).arg(list))?;
    let fetched = done.stdout.lines().filter(|line| line.starts_with("200 1024 ")).count();
    ensure!(fetched == pages, "trunkline fetched {fetched} pages of {pages}: {}", done.stderr);
    Ok(done)
}

/// It says a line for each, too.
fn curl(config: &Path, pages: usize) -> Result<Done> {
    let format = "%{http_code} %{size_download} %{url}\\n";
    let concurrency = CONCURRENCY.to_string();
    let arguments = ["-sS", "--parallel", "--parallel-max", &concurrency, "-w", format, "-K"];
    let done = run(Command::new("curl").args(arguments).arg(config))?;
    let fetched = done.stdout.lines().filter(|line| line.starts_with("200 1024 ")).count();
    ensure!(fetched == pages, "curl fetched {fetched} pages of {pages}: {}", done.stderr);
    Ok(done)
}

fn curl_config(urls: &[String]) -> Result<String> {
    let mut config = String::new();
    for url in urls {
        writeln!(config, "url = \"{url}\"\noutput = \"/dev/null\"")?;
    }
    Ok(config)
}

fn wget2(list: &Path) -> Result<Done> {
    let threads = format!("--max-threads={CONCURRENCY}");
    run(Command::new("wget2").args(["--no-config", "-q", &threads, "--tries=1", "-O", "/dev/null", "-i"]).arg(list))
}
