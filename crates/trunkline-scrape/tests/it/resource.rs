//! The scraper as a resource: whatever becomes of the login, no socket is left.

use trunkline::Session;
use trunkline_lifespan::{Phase, run};
use trunkline_scrape::{Login, resource};

use crate::support::site::Site;
use crate::support::sockets::{assert_no_connections, connections};

fn login(site: &Site, password: &str) -> Login {
    Login::at(site.url("/login")).field("user", "ann").field("pass", password)
}

#[tokio::test]
async fn a_scraper_is_opened_used_and_closed() {
    let site = Site::start(10).await;
    let ending = run(async |app| -> trunkline_lifespan::Result<()> {
        let resource = resource(Session::builder(), login(&site, "s3cret")).probe(site.url("/page/1"));
        let scraper = app.open("site", resource).await?;
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
        let ending = run(async |app| -> trunkline_lifespan::Result<()> {
            app.open("site", resource(Session::builder(), login(&site, password)).probe(site.url(probe))).await?;
            Ok(())
        })
        .await;
        let [error] = ending.errors() else { panic!("{ending}") };
        let shown = format!("{error:?}").replace("\n  caused by: ", ": ");
        assert_eq!((error.phase(), shown), (phase, told));
        assert_no_connections(site.port()).await;
    }
}
