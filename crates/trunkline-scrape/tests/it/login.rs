//! Logging in: to Django's admin, to Jupyter Server, and to a site whose sessions run out.

use std::time::Duration;

use axum::response::{Html, IntoResponse as _};
use futures_util::stream::{self, StreamExt};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use trunkline::Session;
use trunkline_scrape::{Error, Expect, FormChoice, Login, Page, Scraper, Submitter};

use crate::support::django::{Django, PASSWORD, USER};
use crate::support::jupyter::{self, Jupyter};
use crate::support::site::Site;
use crate::support::web::Web;

#[tokio::test]
async fn djangos_admin_lets_in_who_may() {
    let django = Django::start().await;
    let session = Session::new();
    let scraper = Scraper::new(session.clone());
    let login = |password: &str| {
        Login::at(django.url("/admin/login/?next=/admin/auth/user/"))
            .field("username", USER)
            .field("password", password)
    };

    let error = scraper.login(login("wr0ng")).await.unwrap_err();
    assert!(error.is_login(), "{error:?}");
    let told = error.to_string();
    let expected = "login failed: the password form is still there: Please enter the correct username and password for a staff account.";
    assert!(told.starts_with(expected), "{told}");

    let page = scraper.login(login(PASSWORD)).await.unwrap();
    assert_eq!((page.status, page.url.path()), (StatusCode::OK, "/admin/auth/user/"));
    let users = scraper.get(django.url("/admin/auth/user/")).await.unwrap().document().unwrap();
    assert_eq!(users.text_of("#result_list .field-email").unwrap().as_deref(), Some("ann@example.com"));

    // A session that ends on the server: it redirects to its login page.
    session.cookies().clear();
    let page = scraper.get(django.url("/admin/auth/user/")).await.unwrap();
    assert_eq!(page.url.path(), "/admin/auth/user/");
    session.close().await;
}

/// It says 403 to those who are not logged in.
#[tokio::test]
async fn jupyter_server_lets_in_who_knows_the_password() {
    let jupyter = Jupyter::start().await;
    let session = Session::new();
    let scraper = Scraper::new(session.clone());
    let login = |password: &str| {
        let login = Login::at(jupyter.url("/login?next=%2Fapi%2Fcontents")).field("password", password);
        login.expect(Expect::Status(StatusCode::OK)).expect(Expect::Url("/api/contents".into()))
    };
    assert_eq!(scraper.get(jupyter.url("/api/contents")).await.unwrap().status, StatusCode::FORBIDDEN);

    let error = scraper.login(login("wr0ng")).await.unwrap_err();
    let told = format!(
        "login failed: {} answers with the status 401 Unauthorized, not 200 OK: Invalid credentials",
        jupyter.url("/login")
    );
    assert_eq!((error.is_login(), error.to_string()), (true, told));

    let over = |page: &Page| page.status == StatusCode::FORBIDDEN;
    scraper.login(login(jupyter::PASSWORD).is_over_when(over)).await.unwrap();
    for _ in 0..2 {
        let page = scraper.get(jupyter.url("/api/contents")).await.unwrap();
        assert_eq!((page.status, page.headers["content-type"].as_bytes()), (StatusCode::OK, &b"application/json"[..]));
        // The server forgets who this is.
        session.cookies().clear();
    }
    session.close().await;
}

fn login(site: &Site, password: &str) -> Login {
    Login::at(site.url("/login")).field("user", "ann").field("pass", password)
}

#[tokio::test]
async fn a_failed_login_names_the_check_and_quotes_the_page() {
    let (site, session) = (Site::start(10).await, Session::new());
    let scraper = Scraper::new(session.clone());
    let home = site.url("/home");
    let at_login = site.url("/login");
    for (login, told) in [
        // The page says the password itself: it is not told on.
        (login(&site, "wrong"), "login failed: the password form is still there".to_owned()),
        (login(&site, ""), "login failed: the password form is still there: Wrong name or password".to_owned()),
        (
            login(&site, "").expect(Expect::Status(StatusCode::FOUND)),
            format!("login failed: {at_login} answers with the status 200 OK, not 302 Found: Wrong name or password"),
        ),
        (
            login(&site, "s3cret").expect(Expect::Url("/account".into())),
            format!("login failed: it led to {home}, not to /account"),
        ),
        (
            login(&site, "s3cret").expect(Expect::Cookie("id".into())),
            format!(r#"login failed: there is no cookie "id" for {home}"#),
        ),
        (
            login(&site, "s3cret").expect(Expect::Present("h1".into())),
            format!(r#"login failed: {home} has nothing that "h1" finds"#),
        ),
        (
            login(&site, "s3cret").expect(Expect::Absent("a.logout".into())),
            format!(r#"login failed: {home} has what "a.logout" finds"#),
        ),
        (
            login(&site, "s3cret").expect(Expect::Text("Bob".into())),
            format!(r#"login failed: {home} does not say "Bob""#),
        ),
        (
            login(&site, "s3cret").submitter(Submitter::None),
            "login failed: the password form is still there".to_owned(),
        ),
    ] {
        let shown = format!("{login:?}");
        let error = scraper.login(login).await.unwrap_err();
        assert!(error.is_login(), "{error:?}");
        assert_eq!(error.to_string(), told);
        assert!(!shown.contains("s3cret") && !format!("{scraper:?}").contains("s3cret"), "{shown}");
    }
    session.close().await;
}

#[tokio::test]
async fn a_login_is_what_all_expectations_are_met_of() {
    let (site, session) = (Site::start(10).await, Session::new());
    let scraper = Scraper::new(session.clone());
    let expected = ["status=200", "url=/home", "cookie=sid", "present=a.logout", "absent=form", "text=Welcome,  Ann"];
    let login = expected.iter().fold(login(&site, "s3cret"), |login, text| login.expect(text.parse().unwrap()));
    let page = scraper.login(login.form(FormChoice::Position(0))).await.unwrap();
    assert_eq!(page.url.path(), "/home");
    assert_eq!(scraper.get(site.url("/page/7")).await.unwrap().body, "page 7");
    for wrong in ["", "status", "status=", "status=1x", "colour=red"] {
        assert!(wrong.parse::<Expect>().unwrap_err().is_input(), "{wrong}");
    }
    session.close().await;
}

#[tokio::test]
async fn a_text_may_be_expected_of_json_as_well() {
    let web = Web::start(|path, _| async move {
        match &*path {
            "/login" => Html("<form action=/in method=post><input type=password name=pass></form>").into_response(),
            _ => ([(CONTENT_TYPE, "application/json")], r#"{"user": "Ann"}"#).into_response(),
        }
    })
    .await;
    let (session, login) = (Session::new(), Login::at(web.url("/login")).field("pass", "s3cret"));
    let scraper = Scraper::new(session.clone());
    scraper.login(login.clone().expect(Expect::Text(r#""user":  "Ann""#.into()))).await.unwrap();
    let error = scraper.login(login.expect(Expect::Text("Bob".into()))).await.unwrap_err();
    assert!(error.to_string().ends_with(r#"does not say "Bob""#), "{error}");
    session.close().await;
}

#[tokio::test]
async fn a_page_without_the_form_is_told_with_its_status() {
    let (site, session) = (Site::start(10).await, Session::new());
    let scraper = Scraper::new(session.clone());
    let error = scraper.login(Login::at(site.url("/nowhere"))).await.unwrap_err();
    assert!(error.is_login() && error.to_string().contains("the login page has the status 404 Not Found"), "{error}");
    let error = scraper.login(Login::at(site.url("/home"))).await.unwrap_err();
    assert!(error.is_input() && error.to_string().contains("no form with a password field"), "{error}");
    let error = scraper.login(login(&site, "x").field("otp", "1")).await.unwrap_err();
    assert!(error.is_input() && error.to_string().contains(r#"no field "otp""#), "{error}");
    assert_eq!(site.tries(), 0);
    session.close().await;
}

/// All at once, while the site ends the session again and again: each page comes, none twice, with
/// one login for each time that it ended.
#[tokio::test]
async fn a_login_that_runs_out_is_renewed_once_for_all_who_wait() {
    let (pages, good_for) = if std::env::var_os("TRUNKLINE_SOAK").is_some() { (2000, 200) } else { (300, 50) };
    let (site, session) = (Site::start(good_for).await, Session::new());
    let scraper = Scraper::new(session.clone());
    scraper.login(login(&site, "s3cret")).await.unwrap();
    let all = stream::iter(0..pages).map(|number| {
        let (scraper, url) = (scraper.clone(), site.url(&format!("/page/{number}")));
        tokio::spawn(async move { scraper.get(url).await })
    });
    let fetched: Vec<_> = all.buffer_unordered(16).collect().await;
    for page in fetched {
        assert_eq!(page.unwrap().unwrap().status, StatusCode::OK);
    }
    assert_eq!(site.delivered().len(), pages);
    assert!(site.delivered().values().all(|times| *times == 1));
    assert_eq!(site.logins(), pages / good_for);
    session.close().await;
}

#[tokio::test]
async fn a_login_that_fails_is_not_tried_again_for_each_page() {
    let (site, session) = (Site::start(5).await, Session::new());
    let scraper = Scraper::new(session.clone());
    scraper.login(login(&site, "s3cret")).await.unwrap();
    site.lock();
    let all = stream::iter(0..20).map(|number| {
        let (scraper, url) = (scraper.clone(), site.url(&format!("/page/{number}")));
        async move { scraper.get(url).await }
    });
    let fetched: Vec<Result<_, Error>> = all.buffer_unordered(8).collect().await;
    for page in fetched {
        let error = page.unwrap_err();
        assert!(error.is_login() && error.to_string().contains("the password form is still there"), "{error}");
    }
    assert_eq!(site.tries(), 2, "the first one, and the one that failed");
    session.close().await;
}

#[tokio::test]
async fn a_login_that_failed_for_the_servers_sake_is_tried_again() {
    let (site, session) = (Site::start(5).await, Session::new());
    let scraper = Scraper::new(session.clone());
    scraper.login(login(&site, "s3cret")).await.unwrap();
    site.set_ill(true);
    let error = scraper.get(site.url("/page/1")).await.unwrap_err();
    assert!(error.is_login() && error.to_string().contains("the status 503 Service Unavailable"), "{error}");
    site.set_ill(false);
    // Not at once: until its pause is over, all are told the same.
    let page = loop {
        match scraper.get(site.url("/page/1")).await {
            Ok(page) => break page,
            Err(error) => assert!(error.is_passing(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!((page.body, site.tries()), ("page 1".into(), 3));
    session.close().await;
}

/// It is left to the next one that waits.
#[tokio::test]
async fn a_renewal_that_is_given_up_half_way_is_another_ones() {
    let web = Web::start(|path, before| async move {
        match (&*path, before) {
            ("/login", 1) => std::future::pending().await,
            ("/login", _) => {
                Html("<form action=/in method=post><input type=password name=pass></form>").into_response()
            }
            ("/in", _) => "in".into_response(),
            (_, 0) => StatusCode::UNAUTHORIZED.into_response(),
            _ => path.into_response(),
        }
    })
    .await;
    let session = Session::new();
    let scraper = Scraper::new(session.clone());
    scraper.login(Login::at(web.url("/login")).field("pass", "s3cret")).await.unwrap();
    let mut pages = scraper.fetch([web.url("/a")]);
    let stuck = async {
        while web.times("/login").len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        page = pages.next() => panic!("{page:?}"),
        () = stuck => drop(pages),
    }
    assert_eq!(scraper.get(web.url("/b")).await.unwrap().body, "/b");
    assert_eq!((web.times("/login").len(), web.times("/in").len()), (3, 2));
    session.close().await;
}

#[tokio::test]
async fn a_page_that_nobody_may_see_ends_in_an_error() {
    let (site, session) = (Site::start(5).await, Session::new());
    let scraper = Scraper::new(session.clone());
    scraper.login(login(&site, "s3cret")).await.unwrap();
    let error = scraper.get(site.url("/forbidden")).await.unwrap_err();
    assert!(
        error.is_login() && error.to_string().contains("and the page still fails (status 401 Unauthorized)"),
        "{error}"
    );
    assert_eq!(site.tries(), 2);
    // Asked otherwise, it is a page as any other.
    scraper.login(login(&site, "s3cret").is_over_when(|page| page.url.path() == "/login")).await.unwrap();
    assert_eq!(scraper.get(site.url("/forbidden")).await.unwrap().status, StatusCode::UNAUTHORIZED);
    session.close().await;
}
