//! Content of the mails.

use std::time::Duration;

use uuid::Uuid;

use super::super::{Mail, activation, already_registered};
use super::{TOKEN, link, mail_to};

#[test]
fn the_link_is_in_both_bodies_and_works_in_html() {
    let link = format!("https://example.com:8443/activate?token={TOKEN}&from=mail");
    let mail = activation(Uuid::nil(), "ada@example.com", &link, Duration::from_secs(7_200)).unwrap();
    assert!(mail.text.lines().any(|line| line == link), "{}", mail.text);
    let escaped = link.replace('&', "&#38;");
    assert!(mail.html.contains(&format!("href=\"{escaped}\"")), "{}", mail.html);
    assert!(!mail.html.contains(&link), "an & that is not escaped");
    for body in [&mail.text, &mail.html] {
        assert!(body.contains("2 hours") && body.contains("example.com:8443"), "{body}");
        assert!(body.contains("If it was not you"), "{body}");
    }
    assert_eq!((mail.subject.as_str(), mail.to.as_str()), ("Activate your account", "ada@example.com"));
}

#[test]
fn a_registered_address_gets_a_notice_without_a_token() {
    let mail = already_registered(Uuid::nil(), "ada@example.com", "https://example.com/").unwrap();
    assert_eq!(mail.subject, "You already have an account");
    for body in [&mail.text, &mail.html] {
        assert!(body.contains("already have an account") && body.contains("https://example.com/"), "{body}");
        assert!(!body.contains("token"), "{body}");
    }
}

#[test]
fn html_in_a_link_stays_text() {
    let mail = already_registered(Uuid::nil(), "ada@example.com", "https://example.com/?<script>\"'").unwrap();
    assert!(!mail.html.contains("<script>"), "{}", mail.html);
    assert!(mail.html.contains("&#60;script&#62;&#34;&#39;"), "{}", mail.html);
}

/// Asserts that the mail has no markup that mail clients block, cut off or suspect.
#[test]
fn html_and_text_suit_mail_clients() {
    let fit = |mail: Mail| {
        for unwanted in ["<img", "<script", "<link", "@import", "url(", "http://", "<form"] {
            let html = mail.html.replace("http://www.w3.org/1999/xhtml", "");
            assert!(!html.contains(unwanted), "{unwanted} in {html}");
        }
        // Gmail cuts a mail off at 102 KiB. SES folds long lines of HTML, but not of plain text.
        assert!(mail.html.len() < 20_000);
        let long = mail.text.lines().find(|line| line.len() > 78 && !line.starts_with("https://"));
        assert_eq!(long, None);
        assert!(!mail.text.contains('<') && !mail.text.contains("&#"), "{}", mail.text);
    };
    fit(mail_to("ada@example.com"));
    fit(already_registered(Uuid::nil(), "ada@example.com", "https://example.com/").unwrap());
}

#[test]
fn neither_debug_nor_an_error_shows_the_link() {
    let shown = format!("{:?} {:#?}", mail_to("ada@example.com"), mail_to("ada@example.com"));
    assert!(shown.contains("Activate your account") && !shown.contains(TOKEN), "{shown}");
    for broken in [link().replace("https://", ""), link().replace("https://example.com", "data:")] {
        let error = activation(Uuid::nil(), "ada@example.com", &broken, Duration::ZERO).unwrap_err();
        assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
    }
}
