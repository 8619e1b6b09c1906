//! `trunkline fetch` from its checked arguments to its exit.

use super::input_source::InputSource;
use super::{RunSettings, run};
use crate::cookies::CookieFile;
use crate::exit::Exit;
use crate::fetch_config::FetchConfig;
use crate::input::Input;
use crate::login::log_in;
use crate::progress::Progress;
use crate::shutdown::{GracefulShutdown, Signals};

/// Logs in if asked to, fetches all pages, closes the session, prints the summary and writes the
/// cookie file, also after a failure.
///
/// # Errors
///
/// The login failed: nothing was fetched, and all files are unchanged. Or the output or the cookie
/// file could not be written, or the system has no thread left.
pub(crate) async fn command(mut config: FetchConfig, mut signals: Signals) -> anyhow::Result<Exit> {
    if let Some(plan) = config.login.take()
        && let Err(signal) = log_in(plan, &config.scraper, &mut signals).await?
    {
        return Ok(Exit::Signal(signal));
    }
    let cookies = config.cookies.take();
    let exit = fetch(config, GracefulShutdown::new(signals)).await;
    CookieFile::save_after(cookies, exit).await
}

async fn fetch(config: FetchConfig, shutdown: GracefulShutdown) -> anyhow::Result<Exit> {
    let FetchConfig { scraper, urls, input, fail_fast, per_host, output, bodies, .. } = config;
    // Resuming may copy a large file.
    let (json, seen) = tokio::task::spawn_blocking(|| output.begin()).await??;
    if let Some(bodies) = bodies.as_ref().filter(|_| seen.is_some()) {
        bodies.sweep()?;
    }
    let input = Input::start(urls, input, Progress::is_wanted())?;
    let source = InputSource::new(scraper, input, bodies, seen);
    run(source, json, RunSettings { fail_fast, per_host }, shutdown).await
}
