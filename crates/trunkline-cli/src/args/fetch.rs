//! Arguments of `trunkline fetch`.

use std::path::PathBuf;
use std::time::Duration;

use trunkline_scrape::Expect;

use super::{LoginForm, WorkerArgs, at_least_one, number, pause, seconds, whole};

const ABOUT: &str = "\
Fetch many URLs at once over one session

Prints the line `status bytes url` for each page, in the order of completion. An
incomplete page has the status ERR, with the reason on standard error. Up to 10
redirects are followed. The last line on standard error is a summary: pages,
failures, bytes, and connections.";

const MORE: &str = "\
Input:
  One URL per line. Blank lines and lines that begin with # are skipped. A line
  that is not a URL is reported with its number and counts as a failed page; a
  line that is not UTF-8, or too long for a URL, has no line in the output. The
  input is read as needed, so it may be endless.

Output:
  The members of a JSON line are url, final_url, status, bytes, elapsed
  (seconds, of the last attempt), reused (true if the connection had served
  another request), error and, with --bodies, file. Unknown values are null. A
  file is named by the number of the URL in the input and by the URL:
  000017-example.com_page.html. Pages are transferred compressed and decoded:
  bytes and the files are the decoded page. A name and a password in a URL
  (http://ann:secret@host/) are sent to that host, and shown only in the member
  url, which is the URL as given.

Counts:
  The summary and the table of --per-host count in the same way: pages are all
  ended pages, failed ones included. A line that is not a URL belongs to no host
  and is counted in the summary only. In the table, retries are additional
  attempts, reused is the share of responses over a connection that had served
  another request, and p50 and p99 are the times of half and 99 % of the pages.

Resuming:
  With --resume, pages that have a line in the file of --output are not fetched
  again, unless they failed. Lines of failed pages are removed, and so is an
  incomplete line at the end, which a crash leaves. In the end, the file has one
  complete line per URL, after any number of interruptions, even if the input
  repeats a URL. With --bodies, a page whose file is missing or incomplete is
  fetched again too; use the same input, because its lines number the files. A million URLs take about 40 MB of memory.
  A line is written after its page and its file, so kill -9 loses only the pages
  under way. Neither is synced to the disk: after a power failure, the pages of
  the last seconds may be missing, and are fetched again.

Time:
  Each attempt has the time limit of --timeout. It also fails if connecting
  takes more than 30 seconds.

Cookies:
  Cookies that a page sets are sent with later requests to its site. Without
  --cookies they are lost at the end. The file is written after failures and
  Ctrl-C too. Only its owner can read it, because it gives access to your logins. If
  it is a link, the target of the link is written.

Login:
  With --login it logs in before the first page, as `trunkline login` does (see
  its --help), and again when the login has expired: a page of the same site has
  the status 401, redirects to the login page, or matches --logged-out. All
  pages wait for that one login. If the first login fails, nothing is fetched, and the
  files of --output and --cookies are unchanged.

Failures:
  A page fails if it is incomplete, or if its status is 400 or above: then its
  line has the status, and its body is counted but not saved in --bodies. After
  429, 500, 502, 503, 504 or a failed connection, a page is tried again, up to
  --retries times: after the time of Retry-After, or else after a random time up
  to 0.5 s, 1 s, 2 s and so on. Other pages go on meanwhile. If Retry-After is
  more than ten minutes, the page fails. With --retries 0 each page has one
  attempt.

Exit status:
  0  every page was fetched
  1  some pages failed, or the login did
  2  the arguments cannot be used
  130  stopped by Ctrl-C (143: by SIGTERM): no new pages start, pages under way
       have 5 seconds; a second Ctrl-C ends it at once
  If the reader of standard output ends early (`| head`), the status is 0.

Examples:
  trunkline fetch https://example.com/ https://example.org/
      Fetches two pages: a line for each, then a summary.
  trunkline fetch -i urls.txt -c 200 --limit 8 > fetched.txt
      Fetches a file of URLs: at most 200 pages at once, over 8 connections.
  trunkline fetch -i urls.txt -o - | jq -r 'select(.error) | .url'
      Lists the URLs that failed.
  trunkline fetch -i urls.txt -o pages.jsonl --resume
      Fetches what is not in pages.jsonl yet; continues after an interruption.
  trunkline fetch --cookies jar.txt https://example.com/members
      Sends the cookies of `trunkline login` or `curl -c jar.txt`.
  trunkline fetch -i urls.txt --login https://example.com/login --field user=ann
      Logs in first, with a password prompt on the terminal.
  generate-urls | trunkline fetch -i - --bodies pages -H 'Accept-Language: en'
      Reads URLs from another program; saves each page as a file in pages/.";

/// Sources of URLs, of which at least one is required.
#[cfg(not(feature = "frontier"))]
const SOURCES: [&str; 2] = ["urls", "input"];
#[cfg(feature = "frontier")]
const SOURCES: [&str; 3] = ["urls", "input", "frontier"];

#[derive(clap::Args, Debug)]
#[command(about = "Fetch many URLs at once over one session", long_about = ABOUT, after_long_help = MORE)]
#[command(override_usage = "trunkline fetch [OPTIONS] [URL]... [-i FILE]")]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(SOURCES)))]
pub(crate) struct FetchArgs {
    /// URLs to fetch (http and https)
    #[arg(value_name = "URL")]
    pub(crate) urls: Vec<String>,

    /// Read URLs from FILE, one per line, after the URLs given here; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// Most pages under way at once, including pages that wait for a connection
    #[arg(short, long, value_name = "N", default_value_t = 100, value_parser = at_least_one, allow_negative_numbers = true)]
    pub(crate) concurrency: usize,

    /// Most open connections; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = whole, allow_negative_numbers = true)]
    pub(crate) limit: usize,

    /// Most connections to one host and port; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole, allow_negative_numbers = true)]
    pub(crate) limit_per_host: usize,

    /// Time limit of each attempt, waiting and redirects included; may be a fraction
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Duration,

    /// Most retries of a page after a failure of the network or the server; see Failures
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = number, allow_negative_numbers = true)]
    pub(crate) retries: u32,

    /// Pause between the starts of two requests to one host; may be a fraction
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = pause, allow_negative_numbers = true)]
    pub(crate) delay: Duration,

    /// Obey each host's robots.txt; the robot's name is the first word of the User-Agent,
    /// trunkline-cli by default
    #[arg(long)]
    pub(crate) robots: bool,

    /// A header for every request, such as 'Accept-Language: en'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,

    /// Cookie file, in the format of curl's -b and -c: read at the start if it exists, written at
    /// the end
    #[arg(long, value_name = "FILE")]
    pub(crate) cookies: Option<PathBuf>,

    /// Stop at the first failure
    #[arg(long)]
    pub(crate) fail_fast: bool,

    /// Write a line of JSON per page to FILE; - is standard output, instead of the plain lines
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Continue the file of --output, if it exists: fetch URLs without a line, and failed ones
    #[arg(long, requires = "output")]
    pub(crate) resume: bool,

    /// Save each page as a file in DIR, which appears when the page is complete
    #[arg(long, value_name = "DIR")]
    pub(crate) bodies: Option<PathBuf>,

    /// Print a table of counts and times per host before the summary
    #[arg(long)]
    pub(crate) per_host: bool,

    /// Log in first, through the form on this page
    #[arg(long, value_name = "URL", help_heading = "Login")]
    pub(crate) login: Option<String>,

    #[command(flatten, next_help_heading = "Login")]
    pub(crate) form: LoginForm,

    /// Sign of an expired login, besides status=401 and the login page itself: status=403 or
    /// url=/path; may be repeated. Each such page costs at least one login, so do not name a
    /// status or URL that is refused to every user
    #[arg(long, value_name = "WHAT", requires = "login", value_parser = logged_out, help_heading = "Login")]
    pub(crate) logged_out: Vec<Expect>,

    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
}

fn logged_out(text: &str) -> Result<Expect, String> {
    match text.parse() {
        Ok(sign @ (Expect::Status(_) | Expect::Url(_))) => Ok(sign),
        _ => Err("write status=403 or url=/path".into()),
    }
}
