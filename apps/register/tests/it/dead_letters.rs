//! Dead letters on the console: an operator sees the reason, and sends the mails again.

use serde_json::json;

use crate::support::{Browser, Database, Mode, PASSWORD, Service, Ses, Settings, TestResponse, until};

/// Starts a service with this number of mails that SES has refused.
async fn with_refused(database: &Database, mails: usize) -> (Service, Ses) {
    let ses = Ses::start();
    ses.set(Mode::Refusing);
    let service = Settings::new(database).ses(&ses).start().await;
    refuse(&service, "refused", mails).await;
    (service, ses)
}

async fn refuse(service: &Service, name: &str, mails: usize) {
    let before = given_up(service).await;
    for number in 0..mails {
        assert_eq!(service.register(&format!("{name}{number}@example.com"), PASSWORD).await.unwrap().status, 204);
    }
    until("they are given up", async || (given_up(service).await == before + mails).then_some(())).await;
}

async fn given_up(service: &Service) -> usize {
    service.metrics().await.sum("register_mails_given_up", &[]) as usize
}

/// Actions of the forms in the section, and the times in them.
fn forms(page: &str) -> Vec<(String, String)> {
    let value = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("{name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    page.split("<form ").skip(1).map(|form| (value(form, "action"), value(form, "value"))).collect()
}

async fn press(service: &Service, form: &(String, String), headers: &[(&str, &str)]) -> TestResponse {
    let mut request = service.session().post(service.ops_url(&form.0)).form(&[("given_up_at", &form.1)]);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    TestResponse::of(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_the_reason_and_resends_what_it_showed() {
    let database = Database::sqlite();
    let (service, ses) = with_refused(&database, 3).await;
    let page = service.get_ops("/console").await.unwrap().body;
    for shown in
        ["refused0@example.com", "refused2@example.com", "SES answered 400 MessageRejected", "Send all 3 again"]
    {
        assert!(page.contains(shown), "no {shown:?} in {page}");
    }
    let forms = forms(&page);
    assert_eq!(forms.len(), 4, "{forms:?}");
    ses.set(Mode::Take);

    // Requests from another site, in each form.
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
    ] {
        let answer = press(&service, &forms[0], headers).await;
        assert_eq!(answer.status, 403, "{headers:?}");
        answer.problem();
    }
    assert_eq!(press(&service, &forms[0], &[("host", "evil.example")]).await.status, 421);
    // Invalid forms.
    for (path, field, status) in [
        ("/console/mails/again", "", 422),
        ("/console/mails/again", "given_up_at=soon", 422),
        ("/console/mails/nobodys/again", "given_up_at=1", 404),
    ] {
        let form =
            service.session().post(service.ops_url(path)).header("content-type", "application/x-www-form-urlencoded");
        let answer = TestResponse::of(form.body(field)).await.unwrap();
        assert_eq!(answer.status, status, "{path} {field}");
        answer.problem();
    }
    assert_eq!((given_up(&service).await, ses.count()), (3, 0), "nothing has come of any of that");

    for _ in 0..3 {
        let answer = press(&service, &forms[1], &[("sec-fetch-site", "same-origin")]).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/console#given-up"), "{answer:?}");
    }
    until("it is sent", async || (ses.count() == 1).then_some(())).await;
    assert_eq!(ses.sent()[0].to, "refused2@example.com", "the first in the table is the last that was given up");
    assert_eq!(given_up(&service).await, 2);

    // Dead letters added since the page was shown are not resent.
    ses.set(Mode::Refusing);
    refuse(&service, "later", 1).await;
    ses.set(Mode::Take);
    for _ in 0..3 {
        press(&service, &forms[0], &[]).await;
    }
    until("the others are sent", async || (ses.count() == 3).then_some(())).await;
    assert_eq!(given_up(&service).await, 1);
    let figures = service.metrics().await;
    assert_eq!(
        (figures.sum("register_mails_dead_total", &[]), figures.sum("register_mails_revived_total", &[])),
        (4.0, 3.0)
    );
    let log = service.log();
    assert_eq!(log.matches("sent again, as an operator asked for").count(), 2, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sends_them_again_with_javascript_and_without() {
    for (name, javascript) in [("given-up", true), ("given-up-without-javascript", false)] {
        let database = Database::sqlite();
        let (service, ses) = with_refused(&database, 1).await;
        let browser = Browser::open(name, javascript).await;
        browser.resize(1280, 1000).await;
        browser.goto(&service.ops_url("/console")).await;
        browser.sees("refused0@example.com").await;
        refuse(&service, "another", 2).await;
        if !javascript {
            browser.goto(&service.ops_url("/console")).await;
        }
        browser.sees("another1@example.com").await;
        browser.screenshot("1-refused").await;
        ses.set(Mode::Take);
        browser.click("tbody form[action*='/console/mails/'] button").await;
        until("it is sent", async || (ses.count() == 1).then_some(())).await;
        assert_eq!(ses.sent()[0].to, "another1@example.com");
        browser.sees("Send all 2 again").await;
        if javascript {
            browser.sees("The mail to another1@example.com is on its way again.").await;
            let moved = "return document.querySelectorAll('#plot-connections path').length > 0";
            assert_eq!(browser.run(moved).await, json!(true), "the plots go on");
        }
        browser.screenshot("2-one-sent").await;
        browser.click("form[action='/console/mails/again'] button").await;
        until("all are sent", async || (ses.count() == 3).then_some(())).await;
        until("there is nothing left to see to", async || {
            (!browser.find("#given-up").await.is_displayed().await.ok()?).then_some(())
        })
        .await;
        browser.screenshot("3-none").await;
        assert_eq!(browser.complaints().await, [""; 0]);
        browser.resize(500, 800).await;
        ses.set(Mode::Refusing);
        refuse(&service, "a-rather-long-name-at-a-rather-long-domain-of-a-company", 1).await;
        browser.goto(&service.ops_url("/console")).await;
        browser.sees("a-rather-long").await;
        browser.screenshot("4-telephone").await;
        if javascript {
            let fits = browser.run("return document.documentElement.scrollWidth <= window.innerWidth").await;
            assert_eq!(fits, json!(true));
            let seen = "const [box, all] = ['#given-up', '#given-up td:last-child button'].map((css) => document.querySelector(css).getBoundingClientRect()); return all.right <= box.right";
            assert_eq!(browser.run(seen).await, json!(true), "the button is within reach");
        }
        browser.close().await;
    }
}
