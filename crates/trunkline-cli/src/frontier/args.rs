//! The arguments of the frontier, as they are written.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use url::Url;

use super::address::Given;
use crate::args::number;

const ABOUT: &str = "Keep the list of URLs from which any number of machines fetch";

const MORE: &str = "\
The frontier is a few tables in a Postgres database, 12 or later, in a schema of
their own named trunkline. The first `add` or the first worker makes them; from
then on to read and write them is enough. Another crawl takes another database:
`createdb news` makes one. A pooler such as PgBouncer has to be in session mode.

What holds:
  A worker leases what it fetches. One that dies loses nothing: when its lease
  is over, others fetch what it had. It may have written lines of such pages, at
  most twice its --concurrency: those come twice. A machine that loses its power
  may lose the last lines that its disk did not have yet.
  --limit-per-host and --delay are those of all workers together: give the same
  to each. So is what a server asks for by Retry-After, and what robots.txt says
  of pauses. A machine that was suspended for longer than its lease may hold
  connections that nobody counts, until it goes on.
  --login logs in once for all workers that log in alike. The cookies are on the
  frontier, so whoever may read its tables is logged in as you are.
  -o goes on after the lines that are in the file. A file that has others than
  `trunkline fetch -o` writes is refused, and left as it is.

Examples:
  trunkline frontier add postgres://crawl@db/pages -i urls.txt
      Puts a file of URLs on it, each once.
  trunkline fetch --frontier postgres://crawl@db/pages -o pages.jsonl --delay 1
      A worker. Start as many as you like, on as many machines as you like.
  trunkline frontier status postgres://crawl@db/pages --watch
      How it goes.
  trunkline frontier retry postgres://crawl@db/pages --status 503
      Once more what the servers had no time for.

Each command's --help tells its exit status; that of a worker is in
`trunkline fetch --help`.";

const ADD_MORE: &str = "\
What is no URL is reported with the number of its line and left out. A fragment
(#top) is cut off: it is the same page. A URL that is there already, in whatever
state, is counted and left as it is.

Exit status:
  0  all were added, or there already
  1  a line is no URL, or the database failed: those before are on the frontier
  2  the arguments or the database cannot be used
  130  stopped by Ctrl-C (143: by SIGTERM): those that it counts were added";

const RETRY_MORE: &str = "\
They are queued as if they were new, with all their retries. With --host and
--status, those of any of these hosts that failed with any of these statuses.
What a worker has written of the failure stays in its output: the later line of
a URL is the one that counts.

Exit status:
  0  they are queued, if there are any
  1  the database failed: those that it counts are queued
  2  the arguments or the database cannot be used
  130  stopped by Ctrl-C (143: by SIGTERM): those that it counts are queued";

const STATUS_MORE: &str = "\
A URL that was tried, and is to be tried again, is `retrying`. A worker whose
lease is `over` is not heard of any more: what it had is given to others. Hosts
with something left to fetch come first, the slowest of them before the others.

Exit status:
  0  it was shown
  1  the database failed
  2  the arguments or the database cannot be used, or there is no frontier
  130  stopped by Ctrl-C (143: by SIGTERM)";

#[derive(clap::Args, Debug)]
#[command(about = ABOUT, after_long_help = MORE)]
pub(crate) struct Frontier {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    Add(Add),
    Status(Status),
    Retry(Retry),
}

#[derive(clap::Args, Debug)]
#[command(about = "Put URLs on the frontier, each once", after_long_help = ADD_MORE)]
#[command(override_usage = "trunkline frontier add DATABASE [URL]... [-i FILE]")]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["urls", "input"])))]
pub(crate) struct Add {
    /// Where it is: postgres://user@host/database; the password may be in PGPASSWORD or ~/.pgpass
    #[arg(value_name = "DATABASE")]
    pub(crate) database: Given,

    /// What to add: http and https URLs
    #[arg(value_name = "URL")]
    pub(crate) urls: Vec<String>,

    /// Read URLs from FILE, one a line, after those given here; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
#[command(about = "Show how the frontier stands: URLs, workers, and the slowest hosts", after_long_help = STATUS_MORE)]
pub(crate) struct Status {
    /// Where it is: postgres://user@host/database; the password may be in PGPASSWORD or ~/.pgpass
    #[arg(value_name = "DATABASE")]
    pub(crate) database: Given,

    /// Show it again every other second, until Ctrl-C
    #[arg(short, long)]
    pub(crate) watch: bool,

    /// How many hosts to show
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = number, allow_negative_numbers = true)]
    pub(crate) hosts: u32,
}

#[derive(clap::Args, Debug)]
#[command(about = "Queue failed URLs once more", after_long_help = RETRY_MORE)]
pub(crate) struct Retry {
    /// Where it is: postgres://user@host/database; the password may be in PGPASSWORD or ~/.pgpass
    #[arg(value_name = "DATABASE")]
    pub(crate) database: Given,

    /// Only those of this host: a.example, a.example:8080 or http://a.example:8080; may be repeated
    #[arg(long = "host", value_name = "HOST", value_parser = host)]
    pub(crate) hosts: Vec<String>,

    /// Only those that failed with this status, or `none` for those without an answer; may be
    /// repeated
    #[arg(long = "status", value_name = "CODE", value_parser = status)]
    pub(crate) statuses: Vec<i16>,
}

/// What `fetch` knows of it.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Many machines")]
pub(crate) struct Work {
    /// Take URLs from this Postgres database, as one of any number of workers (see `trunkline
    /// frontier --help`)
    #[arg(long, value_name = "DATABASE", conflicts_with_all = ["urls", "input", "resume", "per_host"])]
    pub(crate) frontier: Option<Given>,

    /// After so long without a word from this worker, others take what it had [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = lease, allow_negative_numbers = true)]
    pub(crate) lease: Option<Duration>,

    /// When nothing is left on the frontier, wait for more
    #[arg(long)]
    pub(crate) follow: bool,
}

/// How long a lease is that nobody has asked for another length of.
const LEASE: Duration = Duration::from_secs(60);

impl Work {
    /// Is it a worker's work that is asked for?
    pub(crate) fn is_asked_for(&self) -> bool {
        self.frontier.is_some()
    }

    /// # Errors
    ///
    /// What is a worker's is asked for without its work.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let given = [("--lease", self.lease.is_some()), ("--follow", self.follow)];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) if self.frontier.is_none() => {
                bail!("{option} is for workers: write --frontier DATABASE as well, or leave it out")
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn lease(&self) -> Duration {
        self.lease.unwrap_or(LEASE)
    }
}

/// As the frontier has it: an origin, or of that the name, with or without a port.
fn host(text: &str) -> Result<String, String> {
    let wanted = || "write a.example, a.example:8080 or http://a.example:8080".to_owned();
    let parse = |text: &str| {
        let url = Url::parse(text).ok().filter(|url| url.has_host() && url.path() == "/" && url.query().is_none());
        url.ok_or_else(wanted)
    };
    if text.contains("://") {
        return Ok(parse(text)?.origin().ascii_serialization());
    }
    let [http, https] = [parse(&format!("http://{text}"))?, parse(&format!("https://{text}"))?];
    let name = http.host_str().unwrap_or_default();
    Ok(match (http.port(), https.port()) {
        (None, None) => name.to_owned(),
        (Some(port), Some(_)) => format!("{name}:{port}"),
        // A scheme's own port is in none of its origins.
        (None, Some(_)) => format!("http://{name}"),
        (Some(_), None) => format!("https://{name}"),
    })
}

/// 0 is none.
fn status(text: &str) -> Result<i16, String> {
    let number = text.parse().ok().filter(|number| (100..=999).contains(number));
    number.or((text == "none").then_some(0)).ok_or_else(|| "write a status such as 503, or none".into())
}

/// The shortest lease: a database that is busy for a moment must not end it.
const SHORTEST: f64 = 3.0;

fn lease(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().unwrap_or(f64::NAN);
    match Duration::try_from_secs_f64(seconds) {
        Ok(lease) if (SHORTEST..=86_400.0).contains(&seconds) => Ok(lease),
        _ => Err(format!("use a number of seconds from {SHORTEST} to 86400, such as 60")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_meant_as_the_frontier_has_it() {
        for (given, kept) in [
            ("A.example", "a.example"),
            ("a.example:8080", "a.example:8080"),
            ("HTTP://a.example:80/", "http://a.example"),
            ("a.example:80", "http://a.example"),
            ("a.example:443", "https://a.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(host(given).as_deref(), Ok(kept));
        }
        for unusable in ["", "a b", "a.example/page", "http://a.example/?q", "://"] {
            host(unusable).unwrap_err();
        }
    }

    #[test]
    fn a_status_is_a_number_or_none() {
        assert_eq!([status("503"), status("none")], [Ok(503), Ok(0)]);
        for unusable in ["", "0", "5xx", "-1", "99", "70000"] {
            status(unusable).unwrap_err();
        }
    }
}
