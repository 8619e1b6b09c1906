//! The arguments of the frontier, as they are written.

use std::path::PathBuf;
use std::time::Duration;

use super::address::Given;

const ABOUT: &str = "Keep the list of URLs from which any number of machines fetch";

const MORE: &str = "\
The frontier is a few tables in a Postgres database, in a schema of their own
named trunkline. The first command that needs them makes them; a worker needs no
more than to read and write them.

What holds:
  A worker leases what it fetches. One that dies loses nothing: when its lease
  is over, others fetch what it had. It may have written lines of such pages, at
  most twice its --concurrency: those come twice.
  --limit-per-host and --delay are those of all workers together: give the same
  to each. So is what a server asks for by Retry-After, and what robots.txt says
  of pauses. A machine that was suspended for longer than its lease may hold
  connections that nobody counts, until it goes on.
  --login logs in once for all workers. The cookies are on the frontier, so
  whoever may read its tables is logged in as you are.
  -o goes on after the lines that are in the file.

Examples:
  trunkline frontier add postgres://crawl@db/pages -i urls.txt
      Puts a file of URLs on it, each once.
  trunkline fetch --frontier postgres://crawl@db/pages -o pages.jsonl --delay 1
      A worker. Start as many as you like, on as many machines as you like.
  trunkline frontier status postgres://crawl@db/pages --watch
      How it goes.";

const ADD_MORE: &str = "\
What is no URL is reported with the number of its line and left out. A fragment
(#top) is cut off: it is the same page. A URL that is there already, in whatever
state, is counted and left as it is.

Exit status:
  0  all were added, or there already
  1  a line is no URL, or the database failed: those before are on the frontier
  2  the arguments or the database cannot be used";

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
#[command(about = "Show how the frontier stands: URLs, workers, and the slowest hosts")]
pub(crate) struct Status {
    /// Where it is: postgres://user@host/database; the password may be in PGPASSWORD or ~/.pgpass
    #[arg(value_name = "DATABASE")]
    pub(crate) database: Given,

    /// Show it again every other second, until Ctrl-C
    #[arg(short, long)]
    pub(crate) watch: bool,

    /// How many hosts to show
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) hosts: usize,
}

/// What `fetch` knows of it.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Many machines")]
pub(crate) struct Work {
    /// Take URLs from this Postgres database, as one of any number of workers (see `trunkline frontier --help`)
    #[arg(long, value_name = "DATABASE", conflicts_with_all = ["urls", "input", "resume", "per_host"])]
    pub(crate) frontier: Option<Given>,

    /// After so long without a word from this worker, others take what it had
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = lease, requires = "frontier", conflicts_with_all = ["urls", "input"])]
    pub(crate) lease: Duration,

    /// When nothing is left, wait for more
    #[arg(long, requires = "frontier", conflicts_with_all = ["urls", "input"])]
    pub(crate) follow: bool,
}

impl Work {
    /// Is it a worker's work that is asked for?
    pub(crate) fn is_asked_for(&self) -> bool {
        self.frontier.is_some()
    }
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
