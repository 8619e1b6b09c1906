//! One long body, plain and over TLS.

use std::process::Command;

use anyhow::Result;

use super::{LIBRARIES, Section};
use crate::Bench;
use crate::bars::Bar;
use crate::figures::{Figures, Rounds};
use crate::nginx::{LONG, Nginx};
use crate::process::run;
use crate::table::{Column, compare, table};

pub(crate) fn measure(bench: &Bench) -> Result<Section> {
    let server = Nginx::start(&bench.work, 1, 1000)?;
    let contestants = [&LIBRARIES[..], &["curl"]].concat();
    let urls = [server.first("/long"), server.tls_url("/long")];
    let (mut plain, mut tls) = (Rounds::default(), Rounds::default());
    // The file is in the page cache from here on.
    curl(&urls[0], &server)?;
    for round in bench.rounds(5) {
        for (rounds, url) in [&mut plain, &mut tls].into_iter().zip(&urls) {
            for &who in &contestants {
                let figures = match who {
                    "curl" => curl(url, &server)?,
                    _ => {
                        let plan = [("url", url.clone()), ("length", LONG.to_string()), ("ca", server.ca())];
                        bench.client(who, "body", &plan)?
                    }
                };
                rounds.add(round, who, figures);
            }
        }
    }
    let shown = |title: &str, rounds: &Rounds| {
        let columns = [Column::Figure("rate"), Column::Ratio("rate"), Column::Figure("cpu"), Column::Ratio("cpu")];
        table(
            &[title, "MiB/s", "trunkline's ÷ it", "CPU s", "trunkline's ÷ it"],
            &compare(rounds, &contestants, &columns),
        )
    };
    Ok(Section {
        title: "A body of 1 GiB",
        method: "Read piece by piece on one thread over a connection that is open already; curl writes to `/dev/null`, and opens its own. \
                 TLS 1.3 with AES-256-GCM for all."
            .into(),
        table: format!("{}\n{}", shown("1 GiB, plain", &plain), shown("1 GiB, TLS", &tls)),
        bars: vec![
            Bar::at_least("rate ÷ curl's, 1 GiB, plain", 1.0, plain.ratio("trunkline", "curl", "rate"), ""),
            Bar::at_least("rate ÷ curl's, 1 GiB, TLS", 1.0, tls.ratio("trunkline", "curl", "rate"), ""),
        ],
    })
}

fn curl(url: &str, server: &Nginx) -> Result<Figures> {
    let format = "%{size_download} %{time_total} %{time_appconnect} %{time_connect}";
    let arguments = ["-sS", "--fail", "--cacert", &server.ca(), "-o", "/dev/null", "-w", format, url];
    let done = run(Command::new("curl").args(arguments))?;
    let said: Vec<f64> = done.stdout.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [size, total, handshake, connect] = said[..] else { anyhow::bail!("curl says {:?}", done.stdout) };
    anyhow::ensure!(size == LONG as f64, "curl got {size} bytes");
    let rate = size / (total - handshake.max(connect)) / f64::from(1 << 20);
    Ok(Figures::from([("rate".into(), rate), ("cpu".into(), done.cpu.as_secs_f64())]))
}
