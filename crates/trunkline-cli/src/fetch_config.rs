//! Checked arguments of `fetch`: finds each mistake that can be found before the first page.

use std::path::{Path, PathBuf};

use anyhow::{Error, ensure};
use http::HeaderMap;
use trunkline::Pool;
use trunkline_scrape::Scraper;

use crate::args::FetchArgs;
use crate::bodies::BodyDirectory;
use crate::cookies::CookieFile;
use crate::input::InputFile;
use crate::json_output::{ExistingFile, JsonOutput};
use crate::login::LoginPlan;
use crate::options::{self, check_url, headers, robot};
use crate::url_argument;

/// Everything that a run needs, opened.
pub(crate) struct FetchConfig {
    /// Scraper of the pages. Nothing is connected yet.
    pub(crate) scraper: Scraper,
    /// Login before the first page.
    pub(crate) login: Option<LoginPlan>,
    pub(crate) urls: Vec<String>,
    pub(crate) input: Option<InputFile>,
    pub(crate) fail_fast: bool,
    /// Print the table of hosts at the end.
    pub(crate) per_host: bool,
    pub(crate) output: JsonOutput,
    pub(crate) bodies: Option<BodyDirectory>,
    pub(crate) cookies: Option<CookieFile>,
}

impl FetchConfig {
    /// Checks the arguments and opens all files. The output file is opened last and emptied later,
    /// so that a mistake elsewhere leaves earlier results unchanged.
    ///
    /// # Errors
    ///
    /// An argument or a file cannot be used.
    pub(crate) fn check(args: FetchArgs) -> anyhow::Result<Self> {
        #[cfg(feature = "frontier")]
        args.worker.check()?;
        let is_worker = args.worker.is_requested();
        let headers = headers(&args.headers)?;
        let cookies = args.cookies.as_deref().map(CookieFile::open).transpose()?;
        let scraper = scraper(&args, headers, cookies.as_ref())?;
        for url in &args.urls {
            check_url(url)?;
        }
        args.login.as_deref().map(url_argument::parse).transpose().map_err(Error::msg)?;
        check_files(&args)?;
        let input = args.input.as_deref().map(InputFile::open).transpose()?;
        let FetchArgs { urls, fail_fast, login, form, logged_out, resume, per_host, .. } = args;
        let login =
            login.map(|url| LoginPlan::check(url, form)).transpose()?.map(|plan| plan.logged_out_when(logged_out));
        let bodies = args.bodies.map(BodyDirectory::open).transpose()?;
        let output = match args.output {
            Some(path) => {
                let existing = match resume {
                    true => ExistingFile::Resumed(bodies.as_ref().map(BodyDirectory::dir)),
                    false if is_worker => ExistingFile::Kept,
                    false => ExistingFile::Emptied,
                };
                JsonOutput::open(&path, existing)?
            }
            None => JsonOutput::None,
        };
        Ok(Self { scraper, login, urls, input, fail_fast, per_host, output, bodies, cookies })
    }
}

/// Checks that no file is both read and written, and that standard input is read once.
fn check_files(args: &FetchArgs) -> anyhow::Result<()> {
    let files = [("input", &args.input), ("cookie file", &args.cookies), ("password file", &args.form.password_file)];
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
        "--resume needs a file for --output, not \"-\": standard output cannot be read again"
    );
    Ok(())
}

/// True if both paths are one file, or will be: either may not exist yet. The output `-` is not a
/// file; the input `-` may be one.
fn is_same(one: &Path, output: &Path) -> bool {
    if output == Path::new("-") {
        return false;
    }
    let same_file = |one: &Path| file_id(one).is_some_and(|id| file_id(output) == Some(id));
    if one == Path::new("-") {
        return same_file(Path::new("/dev/stdin"));
    }
    same_file(one) || absolute(one).is_some_and(|path_of_one| absolute(output) == Some(path_of_one))
}

/// Identity of a regular file, under any name.
#[cfg(unix)]
fn file_id(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;

    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|file| (file.dev(), file.ino()))
}

/// Other systems identify a file by its path only.
#[cfg(not(unix))]
fn file_id(_: &Path) -> Option<()> {
    None
}

fn absolute(path: &Path) -> Option<PathBuf> {
    let to_come = || {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(dir.canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(to_come)
}

fn scraper(args: &FetchArgs, headers: HeaderMap, cookies: Option<&CookieFile>) -> anyhow::Result<Scraper> {
    let bounded = |limit: usize| (limit > 0).then_some(limit);
    let pool = Pool::builder().limit(bounded(args.limit)).limit_per_host(bounded(args.limit_per_host)).build()?;
    let robot = robot(&headers).to_owned();
    let session = options::session_builder(args.timeout, cookies).headers(headers).pool(pool).build()?;
    let scraper = Scraper::new(session).concurrency(args.concurrency).retries(args.retries).delay(args.delay);
    Ok(if args.robots { scraper.robots(robot) } else { scraper })
}
