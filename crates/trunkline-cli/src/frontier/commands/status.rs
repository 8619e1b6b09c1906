//! `frontier status`: how it stands, as tables.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::sleep;

use super::open;
use crate::ending::Ending;
use crate::frontier::args::Status as Args;
use crate::frontier::store::{Backoff, Status, Store, is_passing};
use crate::signals::Shutdown;

/// How often to look again.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// To the top, and from there to the end empty.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// Shows it, once or until a signal comes.
pub(super) async fn run(args: Args, mut shutdown: Shutdown) -> anyhow::Result<Ending> {
    tokio::select! {
        biased;
        signal = shutdown.next() => Ok(Ending::Signal(signal)),
        shown = look(&args) => shown.map(|()| Ending::Complete { failed: 0 }),
    }
}

async fn look(args: &Args) -> anyhow::Result<()> {
    let (address, mut store) = open(&args.database).await?;
    let clear = if args.watch && io::stdout().is_terminal() { CLEAR } else { "" };
    let mut backoff = Backoff::default();
    loop {
        match store.status(args.hosts).await {
            Ok(status) => {
                // Who has seen enough has seen enough.
                if !show(clear, &status)? {
                    return Ok(());
                }
            }
            Err(error) if args.watch && is_passing(&error) => {
                let _ = writeln!(io::stderr(), "{error:#}; trying again");
                sleep(backoff.next()).await;
                if let Ok(again) = Store::connect(&address).await {
                    (store, backoff) = (again, Backoff::default());
                }
                continue;
            }
            Err(error) => return Err(error),
        }
        if !args.watch {
            store.close().await;
            return Ok(());
        }
        sleep(WATCH_EVERY).await;
    }
}

/// False if nobody looks any more.
fn show(clear: &str, status: &Status) -> io::Result<bool> {
    let shown = io::stdout().write_all(format!("{clear}{status}").as_bytes()).and_then(|()| io::stdout().flush());
    match shown {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        shown => shown.map(|()| true),
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queued, retrying, leased, done, failed, .. } = self;
        writeln!(f, "{queued} queued, {retrying} retrying, {leased} leased, {done} done, {failed} failed")?;
        self.workers(f)?;
        self.hosts(f)
    }
}

impl Status {
    fn workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.workers.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(["worker", "leased", "done", "failed", "for", "lease"]);
        for worker in &self.workers {
            let lease = if worker.lease > 0.0 { format!("{:.0} s", worker.lease) } else { "over".into() };
            let counts = [worker.leased, worker.done, worker.failed].map(|count| count.to_string());
            let [leased, done, failed] = counts;
            table.row([worker.name.clone(), leased, done, failed, format!("{:.0} s", worker.age), lease]);
        }
        write!(f, "\n{table}")
    }

    fn hosts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hosts.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(["slowest hosts", "leased", "done", "failed", "retries", "mean", "waits"]);
        for host in &self.hosts {
            let mean = host.mean.map_or("-".into(), |mean| format!("{:.0} ms", mean * 1_000.0));
            let waits = host.wait.map_or("-".into(), |wait| format!("{wait:.1} s"));
            let [done, failed, retried] = [host.done, host.failed, host.retried].map(|count| count.to_string());
            table.row([host.origin.clone(), host.leased.to_string(), done, failed, retried, mean, waits]);
        }
        write!(f, "\n{table}")
    }
}

/// Names to the left, figures to the right.
struct Table<const N: usize>(Vec<[String; N]>);

impl<const N: usize> Table<N> {
    fn new(head: [&str; N]) -> Self {
        Self(vec![head.map(str::to_owned)])
    }

    fn row(&mut self, row: [String; N]) {
        self.0.push(row);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        for row in &self.0 {
            let mut line = format!("{:<1$}", row[0], width(0));
            for (column, cell) in row.iter().enumerate().skip(1) {
                write!(line, "  {cell:>0$}", width(column))?;
            }
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontier::store::{HostFigures, WorkerFigures};

    #[test]
    fn a_status_reads_like_a_table() {
        let worker = WorkerFigures { name: "db/17".into(), leased: 2, done: 40, failed: 1, age: 65.2, lease: 41.7 };
        let host = HostFigures {
            origin: "http://a.example".into(),
            leased: 2,
            done: 40,
            failed: 1,
            retried: 3,
            mean: Some(0.0123),
            wait: None,
        };
        let status =
            Status { queued: 7, retrying: 1, leased: 2, done: 40, failed: 1, workers: vec![worker], hosts: vec![host] };
        let expected = "\
7 queued, 1 retrying, 2 leased, 40 done, 1 failed

worker  leased  done  failed   for  lease
db/17        2    40       1  65 s   42 s

slowest hosts     leased  done  failed  retries   mean  waits
http://a.example       2    40       1        3  12 ms      -
";
        assert_eq!(status.to_string(), expected);
    }
}
