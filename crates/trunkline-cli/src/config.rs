//! The arguments, checked: everything that can be found wrong before the first page is fetched.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use trunkline::{Pool, Session, Timeouts};

use crate::args::Fetch;
use crate::bodies::Bodies;
use crate::cookies::CookieFile;

/// What is to be done, with everything it needs opened.
pub(crate) struct Config {
    /// Nothing is connected yet.
    pub(crate) session: Session,
    /// For every request; a name may come more than once.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) urls: Vec<String>,
    pub(crate) input: Option<InputFile>,
    pub(crate) concurrency: usize,
    pub(crate) fail_fast: bool,
    pub(crate) json: Json,
    pub(crate) bodies: Option<Bodies>,
    pub(crate) cookies: Option<CookieFile>,
}

/// An opened source of URLs.
pub(crate) struct InputFile {
    /// What messages call it.
    pub(crate) name: String,
    pub(crate) reader: Box<dyn Read + Send>,
    /// The same file once more, if it has an end: its URLs can be counted ahead.
    pub(crate) countable: Option<Box<dyn Read + Send>>,
}

/// Where the JSON lines go.
pub(crate) enum Json {
    None,
    /// Instead of the plain lines.
    Stdout,
    File(PathBuf, File),
}

impl Config {
    /// The output file is created last: a mistake elsewhere leaves yesterday's results alone.
    pub(crate) fn check(args: Fetch) -> anyhow::Result<Self> {
        let headers = args.headers.iter().map(|text| header(text)).collect::<anyhow::Result<_>>()?;
        let cookies = args.cookies.as_deref().map(CookieFile::open).transpose()?;
        let session = session(&args, cookies.as_ref())?;
        for url in &args.urls {
            check_url(&session, url)?;
        }
        let input = args.input.as_deref().map(InputFile::open).transpose()?;
        if let (Some(input), Some(output)) = (&args.input, &args.output) {
            ensure!(
                !is_same(input, output),
                "{output:?} is the input as well: --output would erase it, use another file"
            );
        }
        if let (Some(cookies), Some(output)) = (&args.cookies, &args.output) {
            let same = is_same(cookies, output);
            ensure!(!same, "{output:?} is the cookie file as well: --output would erase it, use another file");
        }
        let bodies = args.bodies.map(Bodies::open).transpose()?;
        let json = args.output.map_or(Ok(Json::None), Json::create)?;
        let Fetch { urls, concurrency, fail_fast, .. } = args;
        Ok(Self { session, headers, urls, input, concurrency, fail_fast, json, bodies, cookies })
    }
}

/// Whether they are one file, or will be: either may not be there yet. An output that is - is none.
fn is_same(one: &Path, output: &Path) -> bool {
    output != Path::new("-") && place(one).is_some_and(|place_of_one| place(output) == Some(place_of_one))
}

fn place(path: &Path) -> Option<PathBuf> {
    let to_come = || {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(dir.canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(to_come)
}

fn session(args: &Fetch, cookies: Option<&CookieFile>) -> anyhow::Result<Session> {
    let bounded = |limit: usize| (limit > 0).then_some(limit);
    let pool = Pool::builder().limit(bounded(args.limit)).limit_per_host(bounded(args.limit_per_host)).build()?;
    let agent = concat!("trunkline-cli/", env!("CARGO_PKG_VERSION"));
    // A page that is allowed so long may be silent for as long.
    let timeouts = Timeouts::new().total(args.timeout).read(args.timeout);
    let session = Session::builder().pool(pool).user_agent(agent).timeouts(timeouts);
    let session = match cookies {
        Some(file) => session.cookie_jar(file.jar.clone()),
        None => session,
    };
    Ok(session.build()?)
}

fn check_url(session: &Session, url: &str) -> anyhow::Result<()> {
    ensure!(url != "-", "\"-\" is not a URL: to read URLs from standard input, use -i -");
    session.get(url).build()?;
    Ok(())
}

/// The value may be a secret and is in no message.
fn header(text: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    const WANTED: &str = "write it as 'Name: value', such as 'Accept-Language: en'";
    let Some((name, value)) = text.split_once(':') else {
        let start = text.split_whitespace().next().unwrap_or_default();
        bail!("the header {start:?} has no colon: {WANTED}");
    };
    let parsed = name.trim().parse::<HeaderName>();
    let parsed = parsed.with_context(|| format!("{name:?} is not the name of a header: {WANTED}"))?;
    ensure!(
        parsed != CONTENT_LENGTH && parsed != TRANSFER_ENCODING,
        "the header {parsed} describes a body, and a fetch sends none: leave it out"
    );
    let value = value.trim_matches([' ', '\t']).parse::<HeaderValue>();
    let mut value = value.with_context(|| {
        format!("the value of the header {parsed} has a line break or another control character in it")
    })?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

impl InputFile {
    fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { name: "stdin".into(), reader: Box::new(std::io::stdin()), countable: None });
        }
        let unusable = || {
            format!("cannot read the input {path:?}: it has to be a file of URLs, one a line, or - for standard input")
        };
        let file = File::open(path).with_context(unusable)?;
        let kind = file.metadata().with_context(unusable)?;
        if kind.is_dir() {
            return Err(anyhow::anyhow!("it is a directory")).with_context(unusable);
        }
        let again = if kind.is_file() { File::open(path).ok() } else { None };
        let countable = again.map(|file| Box::new(file) as Box<dyn Read + Send>);
        Ok(Self { name: path.display().to_string(), reader: Box::new(file), countable })
    }
}

impl Json {
    fn create(path: PathBuf) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let unusable = || {
            format!(
                "cannot create the output {path:?}: it has to be a file in a directory that exists, or - for standard output"
            )
        };
        let file = File::create(&path).with_context(unusable)?;
        Ok(Self::File(path, file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_a_colon_and_a_value() {
        let (name, value) = header("X-Two:  a: b ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-two", "a: b"));
        assert_eq!(header("X-Empty:").unwrap().1, "");
        assert_eq!(header("X-Name: Zoë").unwrap().1, "Zoë");
    }

    #[test]
    fn an_unusable_header_is_named_without_its_value() {
        for text in [
            "Authorization se-cret",
            "Two words: se-cret",
            ": se-cret",
            "X-Break: se-cret\r\nX: y",
            "Content-Length: 5",
            "",
        ] {
            let message = format!("{:#}", header(text).unwrap_err());
            assert!(!message.contains("se-cret"), "{message}");
        }
        assert!(header("Authorization se-cret").unwrap_err().to_string().contains("\"Authorization\" has no colon"));
    }
}
