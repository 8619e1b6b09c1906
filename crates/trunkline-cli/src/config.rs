//! The arguments, checked: everything that can be found wrong before the first page is fetched.

use std::path::{Path, PathBuf};

use anyhow::{Error, ensure};
use http::HeaderMap;
use trunkline::Pool;
use trunkline_scrape::Scraper;

use crate::args::Fetch;
use crate::bodies::Bodies;
use crate::cookies::CookieFile;
use crate::input::InputFile;
use crate::login::Plan;
use crate::results::{Results, There};
use crate::session::{self, check_url, headers, robot};
use crate::target;

/// What is to be done, with everything it needs opened.
pub(crate) struct Config {
    /// How pages are fetched. Nothing is connected yet.
    pub(crate) scraper: Scraper,
    /// To log in with before the first page.
    pub(crate) login: Option<Plan>,
    pub(crate) urls: Vec<String>,
    pub(crate) input: Option<InputFile>,
    pub(crate) fail_fast: bool,
    /// Figures of each host are wanted at the end.
    pub(crate) per_host: bool,
    pub(crate) results: Results,
    pub(crate) bodies: Option<Bodies>,
    pub(crate) cookies: Option<CookieFile>,
}

impl Config {
    /// The output file is opened last, and emptied later: a mistake elsewhere leaves yesterday's
    /// results alone.
    pub(crate) fn check(args: Fetch) -> anyhow::Result<Self> {
        #[cfg(feature = "frontier")]
        args.work.check()?;
        let is_worker = args.work.is_asked_for();
        let headers = headers(&args.headers)?;
        let cookies = args.cookies.as_deref().map(CookieFile::open).transpose()?;
        let scraper = scraper(&args, headers, cookies.as_ref())?;
        for url in &args.urls {
            check_url(url)?;
        }
        args.login.as_deref().map(target::parse).transpose().map_err(Error::msg)?;
        check_files(&args)?;
        let input = args.input.as_deref().map(InputFile::open).transpose()?;
        let Fetch { urls, fail_fast, login, form, logged_out, resume, per_host, .. } = args;
        let login = login.map(|url| Plan::check(url, form)).transpose()?.map(|plan| plan.over_when(logged_out));
        let bodies = args.bodies.map(Bodies::open).transpose()?;
        let results = match args.output {
            Some(path) => {
                let there = match resume {
                    true => There::Resumed(bodies.as_ref().map(Bodies::dir)),
                    false if is_worker => There::Kept,
                    false => There::Emptied,
                };
                Results::open(&path, there)?
            }
            None => Results::None,
        };
        Ok(Self { scraper, login, urls, input, fail_fast, per_host, results, bodies, cookies })
    }
}

/// What is read is not to be what is written, nor to be read twice.
fn check_files(args: &Fetch) -> anyhow::Result<()> {
    let files =
        [("input", &args.input), ("cookie file", &args.cookies), ("file of the password", &args.form.password_file)];
    for (what, file) in files {
        if let (Some(file), Some(output)) = (file, &args.output) {
            let same = is_same(file, output);
            ensure!(!same, "{output:?} is the {what} as well: --output would erase it, use another file");
        }
    }
    let stdin = |file: &Option<PathBuf>| file.as_deref() == Some(Path::new("-"));
    ensure!(
        !(stdin(&args.input) && stdin(&args.form.password_file)),
        "standard input has either the URLs (-i -) or the password (--password-file -)"
    );
    ensure!(
        !(args.resume && stdin(&args.output)),
        "--resume goes on from what is in the file of --output, and \"-\" is none: standard output cannot be read again"
    );
    Ok(())
}

/// Whether they are one file, or will be: either may not be there yet. An output that is - is none;
/// an input that is - may be a file all the same.
fn is_same(one: &Path, output: &Path) -> bool {
    if output == Path::new("-") {
        return false;
    }
    let same_file = |one: &Path| file(one).is_some_and(|file_of_one| file(output) == Some(file_of_one));
    if one == Path::new("-") {
        return same_file(Path::new("/dev/stdin"));
    }
    same_file(one) || place(one).is_some_and(|place_of_one| place(output) == Some(place_of_one))
}

/// A regular file, by whatever name.
#[cfg(unix)]
fn file(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;

    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|file| (file.dev(), file.ino()))
}

/// Elsewhere it is known by its place alone.
#[cfg(not(unix))]
fn file(_: &Path) -> Option<()> {
    None
}

fn place(path: &Path) -> Option<PathBuf> {
    let to_come = || {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(dir.canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(to_come)
}

fn scraper(args: &Fetch, headers: HeaderMap, cookies: Option<&CookieFile>) -> anyhow::Result<Scraper> {
    let bounded = |limit: usize| (limit > 0).then_some(limit);
    let pool = Pool::builder().limit(bounded(args.limit)).limit_per_host(bounded(args.limit_per_host)).build()?;
    let robot = robot(&headers).to_owned();
    let session = session::builder(args.timeout, cookies).headers(headers).pool(pool).build()?;
    let scraper = Scraper::new(session).concurrency(args.concurrency).retries(args.retries).delay(args.delay);
    Ok(if args.robots { scraper.robots(robot) } else { scraper })
}
