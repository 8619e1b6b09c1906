//! Pages in a real browser, with JavaScript and without.

use serde_json::json;

use crate::support::{Browser, Database, PASSWORD, Service, Settings, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_registers_finds_the_mail_and_activates() {
    let service = Settings::new(&Database::sqlite()).start().await;
    let browser = Browser::open("person", true).await;
    registers(&service, &browser, "Ada.Lovelace@example.com").await;
    let link = finds_the_mail(&service, &browser).await;
    // The mail as in a mail program: in its own frame.
    browser.enter("iframe").await;
    browser.click("a[href*='/activate?token=']").await;
    browser.leave().await;
    activates(&browser, &link).await;
    assert_eq!(browser.complaints().await, [""; 0]);

    // The same link again, already used.
    browser.goto(&link).await;
    browser.click("form button[type=submit]").await;
    browser.sees("used").await;
    browser.screenshot("6-used").await;
    expected(&browser.complaints().await, "410");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_javascript_does_the_same() {
    let service = Settings::new(&Database::sqlite()).start().await;
    let browser = Browser::open("person-without-javascript", false).await;
    registers(&service, &browser, "grace@example.com").await;
    let link = finds_the_mail(&service, &browser).await;
    browser.click("pre a[href*='/activate?token=']").await;
    activates(&browser, &link).await;
    browser.goto(&link).await;
    browser.click("form button[type=submit]").await;
    browser.sees("used").await;
    browser.screenshot("6-used").await;
    browser.close().await;
}

async fn registers(service: &Service, browser: &Browser, email: &str) {
    browser.goto(&service.url("/")).await;
    browser.screenshot("1-register").await;
    browser.write("input[name=email]", email).await;
    browser.write("input[name=password]", PASSWORD).await;
    browser.click("form button[type=submit]").await;
    browser.sees("Check your mail").await;
    assert_eq!(browser.url().await.path(), "/check-mail");
    browser.screenshot("2-check-mail").await;
}

/// Opens the newest mail, and returns its link.
async fn finds_the_mail(service: &Service, browser: &Browser) -> String {
    let address = service.url("/dev/mail");
    browser.click("a[href$='/dev/mail']").await;
    until("the mail is there", async || {
        browser.goto(&address).await;
        browser.find_all(".mails a").await.pop()
    })
    .await;
    browser.screenshot("3-mailbox").await;
    browser.click(".mails a").await;
    let link = browser.find("pre a[href*='/activate?token=']").await.attr("href").await.unwrap().unwrap();
    browser.screenshot("4-mail").await;
    link
}

async fn activates(browser: &Browser, link: &str) {
    until("the link is followed", async || (browser.url().await.as_str() == link).then_some(())).await;
    browser.screenshot("5-link").await;
    browser.click("form button[type=submit]").await;
    browser.sees("Your account is active").await;
    browser.screenshot("6-active").await;
}

/// Chromium reports each error response; no other message may appear.
fn expected(complaints: &[String], status: &str) {
    let other: Vec<_> =
        complaints.iter().filter(|line| !line.contains(&format!("with a status of {status}"))).collect();
    assert!(other.is_empty(), "{other:?}");
}

/// A password that passes the checks of the browser and not those of the service.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_shown_beside_its_field() {
    let service = Settings::new(&Database::sqlite()).start().await;
    for (name, javascript) in [("wrong", true), ("wrong-without-javascript", false)] {
        let browser = Browser::open(name, javascript).await;
        browser.goto(&service.url("/")).await;
        browser.write("input[name=email]", "ada@example.com").await;
        browser.write("input[name=password]", "password123").await;
        browser.click("form button[type=submit]").await;
        let field = browser.find("input[name=password][aria-invalid=true]").await;
        let described = field.attr("aria-describedby").await.unwrap().unwrap();
        let error = browser.find(&format!("#{}", described.split(' ').next_back().unwrap())).await;
        assert!(error.is_displayed().await.unwrap());
        assert!(error.text().await.unwrap().contains("password"));
        // The focus moves to the error, and the typed values stay.
        assert_eq!(browser.active().await.attr("name").await.unwrap().as_deref(), Some("password"));
        let email = browser.find("input[name=email]").await.prop("value").await.unwrap();
        assert_eq!(email.as_deref(), Some("ada@example.com"));
        browser.screenshot("1-password").await;
        expected(&browser.complaints().await, "422");
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_a_phone() {
    let service = Settings::new(&Database::sqlite()).start().await;
    let browser = Browser::open("telephone", true).await;
    browser.resize(500, 800).await;
    assert_eq!(service.register("t@example.com", PASSWORD).await.unwrap().status, 204);
    for (step, url) in [
        ("register", service.url("/")),
        ("check-mail", service.url("/check-mail")),
        ("mailbox", service.url("/dev/mail")),
        ("activate", service.url(&format!("/activate?token={}", "A".repeat(43)))),
        ("console", service.ops_url("/console")),
    ] {
        browser.goto(&url).await;
        let fits = browser.run("return document.documentElement.scrollWidth <= window.innerWidth").await;
        assert_eq!(fits, json!(true), "{step}");
        browser.screenshot(step).await;
    }
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_that_the_session_is_reused() {
    let service = Settings::new(&Database::sqlite()).start().await;
    let browser = Browser::open("console", true).await;
    browser.goto(&service.ops_url("/console")).await;
    for number in 0..20 {
        assert_eq!(service.register(&format!("c{number}@example.com"), PASSWORD).await.unwrap().status, 204);
    }
    until("it shows reuse", async || {
        let shown = browser.find("#reused").await.text().await.ok()?;
        shown.trim().replace(',', "").parse::<u32>().ok().filter(|reused| *reused > 0)
    })
    .await;
    browser.screenshot("1-reuse").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
}

/// Control: the other tests need a browser that reports errors.
#[tokio::test(flavor = "multi_thread")]
async fn the_test_browser_reports_errors_and_obeys_the_script_switch() {
    use axum::Router;
    use axum::response::Html;
    use axum::routing::get;

    const PAGE: &str = "<title>none</title><p>plain</p>\
        <script>document.title = 'some'</script><script nonce=x>document.title = 'forbidden'; throw new Error('ouch')</script>";
    let page = get(async || ([("content-security-policy", "script-src 'nonce-x'")], Html(PAGE)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, Router::new().route("/", page)).await });
    for (javascript, title) in [(true, "forbidden"), (false, "none")] {
        let browser = Browser::open("self", javascript).await;
        browser.goto(&url).await;
        browser.sees("plain").await;
        assert_eq!(browser.title().await, title);
        let complaints = browser.complaints().await.join("\n");
        assert_eq!(complaints.contains("Content Security Policy"), javascript, "{complaints}");
        assert_eq!(complaints.contains("ouch"), javascript, "{complaints}");
        browser.close().await;
    }
}
