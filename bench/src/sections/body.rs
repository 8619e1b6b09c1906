//! One large body, plain and over TLS.

use std::process::Command;

use anyhow::{Result, bail, ensure};
use bench_tables::parameters::LIBRARIES;

use super::Groups;
use crate::Bench;
use crate::nginx::{LONG, Nginx};
use crate::process::run;
use crate::rounds::{Metrics, Rounds};

pub(crate) fn measure(bench: &Bench) -> Result<Groups> {
    let server = Nginx::start(&bench.work, 1, 1000)?;
    let clients = [&LIBRARIES[..], &["curl"]].concat();
    let urls = [server.first("/long"), server.tls_url("/long")];
    let (mut plain, mut tls) = (Rounds::default(), Rounds::default());
    // Brings the file into the page cache.
    curl(&urls[0], &server)?;
    for round in bench.rounds(5) {
        for (rounds, url) in [&mut plain, &mut tls].into_iter().zip(&urls) {
            for &client in &clients {
                let metrics = match client {
                    "curl" => curl(url, &server)?,
                    _ => {
                        let arguments = [("url", url.clone()), ("length", LONG.to_string()), ("ca", server.ca())];
                        bench.client(client, "body", &arguments)?
                    }
                };
                rounds.add(round, client, metrics);
            }
        }
    }
    Ok(vec![("body: plain".into(), plain.summarize()), ("body: TLS".into(), tls.summarize())])
}

fn curl(url: &str, server: &Nginx) -> Result<Metrics> {
    let format = "%{size_download} %{time_total} %{time_appconnect} %{time_connect}";
    let arguments = ["-sS", "--fail", "--cacert", &server.ca(), "-o", "/dev/null", "-w", format, url];
    let output = run(Command::new("curl").args(arguments))?;
    let numbers: Vec<f64> = output.stdout.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [size, total, handshake, connect] = numbers[..] else { bail!("curl printed {:?}", output.stdout) };
    ensure!(size == LONG as f64, "curl received {size} bytes");
    let rate = size / (total - handshake.max(connect)) / f64::from(1 << 20);
    Ok(Metrics::from([("rate".into(), rate), ("cpu".into(), output.cpu.as_secs_f64())]))
}
