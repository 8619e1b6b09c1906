//! The scraper as a resource: whatever becomes of the login, no socket is left.

use std::time::{Duration, Instant};

use trunkline::Session;
use trunkline_lifespan::{Phase, run};
use trunkline_scrape::{Login, resource};

use crate::support::site::Site;

fn login(site: &Site, password: &str) -> Login {
    Login::at(site.url("/login")).field("user", "ann").field("pass", password)
}

/// The connections to this port that this machine's clients have open, by the kernel's list.
fn connections(port: u16) -> usize {
    let list = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let open = list.lines().skip(1).filter(|line| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let to = u16::from_str_radix(words[2].rsplit_once(':').unwrap().1, 16).unwrap();
        // What is in TIME_WAIT (06) belongs to nobody any more.
        to == port && words[3] != "06"
    });
    open.count()
}

/// A socket that is closed is gone when the other side has said so too.
async fn assert_no_connections(port: u16) {
    let started = Instant::now();
    while connections(port) > 0 {
        assert!(started.elapsed() < Duration::from_secs(30), "{} connections are left", connections(port));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_scraper_is_opened_used_and_closed() {
    let site = Site::start(10).await;
    let ending = run(async |life| -> trunkline_lifespan::Result<()> {
        let resource = resource(Session::builder(), login(&site, "s3cret")).probe(site.url("/page/1"));
        let scraper = life.open("site", resource).await?;
        assert_eq!(scraper.get(site.url("/page/2")).await.unwrap().body, "page 2");
        assert!(connections(site.port()) > 0);
        Ok(())
    })
    .await;
    assert!(ending.is_success(), "{ending}");
    assert_no_connections(site.port()).await;
}

#[tokio::test]
async fn a_login_that_fails_leaves_no_socket_and_one_clear_error() {
    let site = Site::start(10).await;
    for (password, probe, phase, told) in [
        (
            "",
            "/page/1",
            Phase::Acquire,
            r#"failed to open "site": login failed: the password form is still there: Wrong name or password"#
                .to_owned(),
        ),
        (
            "s3cret",
            "/missing",
            Phase::Check,
            format!(
                r#"failed validation for "site": {} answers with the status 404 Not Found behind the login"#,
                site.url("/missing")
            ),
        ),
    ] {
        let ending = run(async |life| -> trunkline_lifespan::Result<()> {
            life.open("site", resource(Session::builder(), login(&site, password)).probe(site.url(probe))).await?;
            Ok(())
        })
        .await;
        let [error] = ending.errors() else { panic!("{ending}") };
        assert_eq!((error.phase(), error.to_string()), (phase, told));
        assert_no_connections(site.port()).await;
    }
}
