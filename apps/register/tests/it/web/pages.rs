//! Pages: content, forms without scripts, and nothing inline.

use http::Method;

use super::inside::{Inside, RouterResponse, Up};
use crate::support::until;

/// Asserts that the page works without scripts, and contains nothing that the content security
/// policy forbids.
fn whole(heard: &RouterResponse) -> &RouterResponse {
    assert_eq!(heard.header("content-type"), "text/html; charset=utf-8", "{heard:?}");
    let page = heard.body.as_str();
    heard.has("<!doctype html>").has("<html lang=\"en\">").has("<title>").has("name=\"viewport\"");
    assert_eq!(page.matches("<h1").count(), 1, "{page}");
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("javascript:"), "{page}");
    for tag in page.split("<script").skip(1) {
        assert!(tag.starts_with(" src=\""), "{tag}");
    }
    for tag in page.split('<').filter(|tag| !tag.starts_with(['/', '!'])) {
        let tag = tag.split('>').next().unwrap();
        assert!(!tag.split_whitespace().skip(1).any(|part| part.starts_with("on")), "a handler inline: {tag}");
    }
    for input in page.split("<input").skip(1).filter(|input| !input.contains("type=\"hidden\"")) {
        let id = attribute(input, "id");
        heard.has(&format!("<label for=\"{id}\">"));
        for described in attribute(input, "aria-describedby").split(' ') {
            heard.has(&format!("id=\"{described}\""));
        }
    }
    heard
}

fn attribute<'a>(tag: &'a str, name: &str) -> &'a str {
    let (_, rest) = tag.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("no {name} in {tag}"));
    rest.split('"').next().unwrap()
}

async fn files_of(up: &Up, heard: &RouterResponse, ops: bool) {
    let quoted = heard.body.split('"').filter(|part| part.starts_with("/assets/"));
    let files: Vec<_> = quoted.collect();
    assert!(!files.is_empty());
    for file in files {
        let heard = if ops { up.get_ops(file).await } else { up.get(file).await };
        assert_eq!(heard.status, 200, "{file}");
        let kind = match file.rsplit('.').next().unwrap() {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(heard.header("content-type"), kind);
        assert!(heard.body.len() > 100, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_complete_and_has_its_files() {
    let up = Inside::new().up().await;
    up.register("a@example.com").await;
    let token = up.token(1).await;
    let mail = up.mailbox.newest_first()[0].id.clone();
    for (path, status, title) in [
        ("/", 200, "Create your account"),
        ("/check-mail", 200, "Check your mail"),
        (&format!("/activate?token={token}"), 200, "Activate your account"),
        ("/activate?token=short", 400, "This link is incomplete"),
        ("/activate?token=%ff", 400, "This link is incomplete"),
        ("/activate", 400, "This link is incomplete"),
        ("/dev/mail", 200, "Development mailbox"),
        (&format!("/dev/mail/{mail}"), 200, "Activate"),
        ("/dev/mail/none", 404, "Not Found"),
        ("/nothing", 404, "Not Found"),
        ("/assets/style-0000000000000000.css", 404, "Not Found"),
    ] {
        let heard = up.get(path).await;
        assert_eq!(heard.status, status, "{path}");
        whole(&heard).has(title);
        files_of(&up, &heard, false).await;
    }
    let console = up.get_ops("/console").await;
    files_of(&up, whole(&console), true).await;
    let wrong = up.request(Method::DELETE, "/", &[], "").await;
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, "GET,HEAD"));
    whole(&wrong).has("Method Not Allowed");
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_scripts_registers_and_activates() {
    let up = Inside::new().up().await;
    let heard = up.send_form("/register", "email=jane%40example.com&password=Quittenmus-77").await;
    assert_eq!((heard.status.as_u16(), heard.header("location")), (303, "/check-mail"));
    whole(&up.get("/check-mail").await).has("href=\"/dev/mail\"");
    let token = up.token(1).await;

    // Viewing the page never activates.
    for _ in 0..3 {
        let page = up.get(&format!("/activate?token={token}")).await;
        whole(&page).has(&format!("value=\"{token}\"")).has("Activate my account");
    }
    let form = format!("token={token}");
    let done = up.send_form("/activate", &form).await;
    assert_eq!(done.status, 200);
    whole(&done).has("Your account is active");
    let again = up.send_form("/activate", &form).await;
    assert_eq!(again.status, 410);
    whole(&again).has("used").has("action=\"/resend\"");
    let unknown = up.send_form("/activate", &format!("token={}", "A".repeat(43))).await;
    assert_eq!(unknown.status, 404);
    whole(&unknown).has("We do not know this link");
    let short = up.send_form("/activate", "token=A").await;
    assert_eq!(short.status, 400);
    whole(&short);
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_form_returns_with_errors_without_the_password() {
    let up = Inside::new().up().await;
    let heard = up.send_form("/register", "email=%22%3E%3Cb%3Ejane&password=short!7").await;
    assert_eq!(heard.status, 422);
    whole(&heard).has("value=\"&#34;&#62;&#60;b&#62;jane\"").has("The e-mail address must");
    assert!(!heard.body.contains("short!7"));
    let email = heard.body.split("<input id=\"email\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(email.contains("aria-invalid=\"true\"") && email.contains("autofocus"), "{email}");

    let heard = up.send_form("/register", "email=jane%40example.com&password=password123").await;
    assert_eq!(heard.status, 422);
    whole(&heard).has("value=\"jane@example.com\"").has("The password must");
    let password = heard.body.split("<input id=\"password\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(password.contains("aria-invalid=\"true\"") && password.contains("autofocus"), "{password}");
    assert!(!password.contains("value="));

    let heard = up.send_form("/resend", "email=jane").await;
    assert_eq!(heard.status, 422);
    whole(&heard).has("value=\"jane\"").has("The e-mail address must");
    let heard = up.send_form("/resend", "email=nobody%40example.com").await;
    assert_eq!((heard.status.as_u16(), heard.header("location")), (303, "/check-mail?again"));
    whole(&up.get("/check-mail?again").await).has("Another mail is on its way");
    assert!(!up.get("/check-mail").await.body.contains("on its way"));
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_measured_as_its_hint_says() {
    let up = Inside::new().up().await;
    let page = up.get("/").await;
    let password = page.has("At least 8 bytes").body.split("<input id=\"password\"").nth(1).unwrap();
    // A browser counts characters, not bytes.
    assert!(!password.split('>').next().unwrap().contains("length="), "{password}");
    for (password, status) in [("пароль", 303), ("7 bytes", 422), (&"ж".repeat(513), 422)] {
        let form = url::form_urlencoded::Serializer::new("email=jane%40example.com".to_owned());
        let form = { form }.append_pair("password", password).finish();
        assert_eq!(up.send_form("/register", &form).await.status, status, "{password}");
    }
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_is_refused() {
    let up = Inside::new().public_url("https://example.com").up().await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (headers, status) in [
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("sec-fetch-site", "same-site")], 403),
        (vec![("origin", "https://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![("sec-fetch-site", "same-origin")], 422),
        (vec![("sec-fetch-site", "none")], 422),
        (vec![("origin", "http://127.0.0.1:3000")], 422),
        // The proxy has replaced `Host`.
        (vec![("origin", "https://example.com")], 422),
        // A client other than a browser.
        (vec![], 422),
    ] {
        for path in ["/register", "/resend"] {
            let given: Vec<_> = headers.iter().copied().chain([form]).collect();
            let heard = up.request(Method::POST, path, &given, "email=x").await;
            assert_eq!(heard.status, status, "{path} {headers:?}");
            whole(&heard);
        }
    }
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_shown_in_the_form() {
    let up = Inside::new().address_limit("1/1h").up().await;
    let form = "email=jane%40example.com&password=Quittenmus-77";
    assert_eq!(up.send_form("/register", form).await.status, 303);
    let heard = up.send_form("/register", form).await;
    assert_eq!(heard.status, 429);
    assert!(heard.headers.contains_key("retry-after"));
    whole(&heard)
        .has("Too many requests for this e-mail address. Please try again in 60 minutes.")
        .has("value=\"jane@example.com\"");
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_shown_with_their_links() {
    let up = Inside::new().up().await;
    whole(&up.get("/dev/mail").await).has("No mail yet");
    up.register("jane@example.com").await;
    let token = up.token(1).await;
    let mail = up.mailbox.newest_first()[0].clone();
    let list = up.get("/dev/mail").await;
    whole(&list).has("jane@example.com").has(&format!("href=\"/dev/mail/{}\"", mail.id));

    let link = format!("http://127.0.0.1:3000/activate?token={token}");
    let page = up.get(&format!("/dev/mail/{}", mail.id)).await;
    whole(&page).has(&format!("<a href=\"{link}\">{link}</a>")).has("X-Outbox-Id");
    // The mail is shown in a frame without scripts, forms or external resources. Its links open
    // outside the frame.
    let frame = up.get(&format!("/dev/mail/{}/html", mail.id)).await;
    let policy = frame.header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'self'", "sandbox allow-top-navigation-by-user-activation"] {
        assert!(policy.contains(part), "{policy}");
    }
    frame.has("<base target=\"_top\">").has(&link);
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_begin_with_the_path_of_the_public_url() {
    let up = Inside::new().public_url("https://example.com/accounts/").up().await;
    let page = up.get("/").await;
    page.has("action=\"/accounts/register\"")
        .has("data-api=\"/accounts/api/register\"")
        .has("href=\"/accounts/assets/style-");
    let heard = up.send_form("/register", "email=jane%40example.com&password=Quittenmus-77").await;
    assert_eq!(heard.header("location"), "/accounts/check-mail");
    up.token(1).await;
    until("the mail", async || up.mailbox.newest_first().pop()).await;
    up.get("/dev/mail").await.has("href=\"/accounts/dev/mail/");
    assert_eq!(up.get("/openapi.json").await.json()["servers"][0]["url"], "/accounts");
    up.down().await;
}
