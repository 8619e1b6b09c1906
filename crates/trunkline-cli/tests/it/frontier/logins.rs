//! Login shared by all workers.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::support::{Frontier, finished, urls_in};
use crate::servers::TempDir;
use crate::support::sites::site::Site;
use crate::support::{Running, soak};

const PASSWORD: [(&str, &str); 1] = [("SITE_PASSWORD", "s3cret")];

fn worker(frontier: &Frontier, at: &str, output: &std::path::Path) -> Running {
    worker_as("user=ann", frontier, at, output)
}

fn worker_as(who: &str, frontier: &Frontier, at: &str, output: &std::path::Path) -> Running {
    let arguments = ["--frontier", &frontier.url, "--login", at, "--field", who, "--password-env", "SITE_PASSWORD"];
    let output = ["-c", "8", "-o", output.to_str().unwrap()];
    let mut running = Running::command("fetch", arguments.into_iter().chain(output), PASSWORD);
    let mut stdout = running.stdout.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn three_workers_share_one_login_per_expiry() {
    let (pages, good_for) = (soak(2_000, 600), 200);
    let (site, dir) = (Site::start(good_for).await, TempDir::new("logins"));
    let urls: Vec<_> = (0..pages).map(|page| site.url(&format!("/page/{page}"))).collect();
    let (frontier, at) = (Frontier::with(&urls).await, site.url("/login"));
    let outs: Vec<_> = (0..3).map(|number| dir.join(&number.to_string())).collect();
    let workers: Vec<_> = outs.iter().map(|out| worker(&frontier, &at, out)).collect();
    for worker in workers {
        let run = finished(worker).await;
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    frontier.assert_all_ended(i64::try_from(pages).unwrap(), 0).await;
    let mut fetched: Vec<_> = outs.iter().flat_map(|out| urls_in(out)).collect();
    fetched.sort_unstable();
    fetched.dedup();
    assert_eq!(fetched.len(), pages);
    assert!(site.delivered().values().all(|times| *times == 1));
    assert!(site.logins() <= pages.div_ceil(good_for), "{} logins", site.logins());
    // Later workers reuse the stored cookies.
    assert_eq!(frontier.count("SELECT turn FROM trunkline.logins").await, i64::try_from(site.logins()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_login_ends_the_worker_before_a_claim() {
    let (site, dir) = (Site::start(10).await, TempDir::new("failing"));
    site.lock();
    let frontier = Frontier::with(&[site.url("/page/1")]).await;
    let run = finished(worker(&frontier, &site.url("/login"), &dir.join("out"))).await;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.starts_with("error: login failed: ") && !run.stderr.contains("s3cret"), "{run:?}");
    assert_eq!(frontier.in_state("queued").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_later_on_costs_no_page() {
    let (site, dir) = (Site::start(usize::MAX).await, TempDir::new("refused"));
    let urls: Vec<_> = (0..1_000).map(|page| site.url(&format!("/page/{page}"))).collect();
    let frontier = Frontier::with(&urls).await;
    let (at, out) = (site.url("/login"), dir.join("out"));
    let running = worker(&frontier, &at, &out);
    frontier.until("it has begun", "SELECT sum(done) FROM trunkline.hosts", |done| done > 0).await;
    site.lock();
    let run = finished(running).await;
    let told = run.stderr.lines().any(|line| line.starts_with("error: the login is over: login failed: "));
    assert!(run.code == Some(1) && told && !run.stderr.contains("s3cret"), "{run:?}");
    let done = frontier.in_state("done").await;
    assert_eq!((frontier.in_state("queued").await, urls_in(&out).len() as i64), (1_000 - done, done));
    assert_eq!(site.logins(), 1);
}

/// The login succeeds, and every page still reports a missing login.
#[tokio::test(flavor = "multi_thread")]
async fn logins_without_effect_are_limited() {
    let (site, dir) = (Site::start(10).await, TempDir::new("in-vain"));
    let urls: Vec<_> = (0..20).map(|number| site.url(&format!("/forbidden?{number}"))).collect();
    let frontier = Frontier::with(&urls).await;
    let run = finished(worker(&frontier, &site.url("/login"), &dir.join("out"))).await;
    assert_eq!(run.code, Some(1), "{run:?}");
    frontier.assert_all_ended(0, 20).await;
    assert_eq!(site.logins(), 4, "the first one, and three in vain");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_does_not_use_the_login_of_another_user() {
    let (site, dir) = (Site::start(100).await, TempDir::new("another"));
    let (frontier, at) = (Frontier::with(&[site.url("/page/1")]).await, site.url("/login"));
    assert_eq!(finished(worker(&frontier, &at, &dir.join("ann"))).await.code, Some(0));
    assert_eq!(frontier.add(site.url("/page/2")).code, Some(0));
    let run = finished(worker_as("user=bob", &frontier, &at, &dir.join("bob"))).await;
    assert!(run.code == Some(1) && run.stderr.starts_with("error: login failed: "), "{run:?}");
    assert_eq!(finished(worker(&frontier, &at, &dir.join("ann"))).await.code, Some(0));
    assert_eq!(site.logins(), 1);
}

/// No page can be fetched then.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_with_a_failing_login_gets_few_requests() {
    let (site, dir) = (Site::start(usize::MAX).await, TempDir::new("ill"));
    let urls: Vec<_> = (0..3_000).map(|page| site.url(&format!("/page/{page}"))).collect();
    let frontier = Frontier::with(&urls).await;
    let running = worker(&frontier, &site.url("/login"), &dir.join("out"));
    frontier.until("it has begun", "SELECT sum(done) FROM trunkline.hosts", |done| done > 0).await;
    site.set_ill(true);
    let begun = Instant::now();
    while site.tries() < 4 {
        assert!(begun.elapsed() < Duration::from_secs(120), "it does not try to log in again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let asked = frontier.count("SELECT count(*) FROM trunkline.urls WHERE error IS NOT NULL").await;
    let seconds = begun.elapsed().as_secs();
    site.set_ill(false);
    assert_eq!(finished(running).await.code, Some(0));
    frontier.assert_all_ended(3_000, 0).await;
    // Eight pages are under way at once, and at most eight start per second.
    assert!((1..=8 * (seconds as i64 + 3)).contains(&asked), "{asked} pages in {seconds} s");
}

/// Another worker is logging in, and the database has a short lock timeout.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_waits_for_a_login_uses_up_no_retries() {
    let (site, dir) = (Site::start(3).await, TempDir::new("waiting"));
    let (frontier, at) = (Frontier::with(&[site.url("/page/0")]).await, site.url("/login"));
    let database = frontier.url.rsplit_once('/').unwrap().1;
    let impatient = AssertSqlSafe(format!("ALTER DATABASE {database} SET lock_timeout = '100ms'"));
    frontier.connection().await.execute(impatient).await.unwrap();
    assert_eq!(finished(worker(&frontier, &at, &dir.join("first"))).await.code, Some(0));

    let urls: Vec<_> = (1..6).map(|page| site.url(&format!("/page/{page}"))).collect();
    assert_eq!(frontier.add(urls.join("\n")).code, Some(0));
    // The second worker starts with the stored login, and claims nothing before the lock ends.
    let claims = frontier.transaction("SELECT FROM trunkline.hosts FOR UPDATE").await;
    let running = worker(&frontier, &at, &dir.join("second"));
    frontier.until("it is there", "SELECT count(*) FROM trunkline.workers", |count| count == 1).await;
    let turn = "SELECT pg_advisory_lock(hashtext('trunkline login'), hashtext(login)) FROM trunkline.logins";
    let turn = frontier.transaction(turn).await;
    claims.close().await.unwrap();
    let told = "SELECT count(*) FROM trunkline.urls WHERE state = 'queued' AND error LIKE '%lock timeout%'";
    frontier.until("it has tried", told, |count| count > 0).await;
    turn.close().await.unwrap();
    assert_eq!(finished(running).await.code, Some(0));
    frontier.assert_all_ended(6, 0).await;
    assert_eq!((frontier.count("SELECT sum(attempts) FROM trunkline.urls").await, site.logins()), (0, 2));
}
