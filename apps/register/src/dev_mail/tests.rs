//! Tests of the development mailbox: valid and invalid SES requests.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use trunkline::Session;

use super::DevMail;

const LONG: Duration = Duration::from_secs(30);

fn mail(subject: &str) -> Value {
    json!({
        "FromEmailAddress": "mail@example.com",
        "Destination": { "ToAddresses": ["ada@example.org"] },
        "Content": { "Simple": {
            "Subject": { "Data": subject },
            "Body": { "Text": { "Data": "Grüße", "Charset": "UTF-8" }, "Html": { "Data": "<p>Hello", "Charset": "utf-8" } },
            "Headers": [{ "Name": "X-Outbox-Id", "Value": "1" }],
        } },
        "EmailTags": [{ "Name": "outbox-id", "Value": "1" }],
    })
}

async fn ask(server: &DevMail, request: &Value) -> (u16, String, Value) {
    let url = server.endpoint().join("/v2/email/outbound-emails").unwrap();
    let answer =
        Session::new().post(url).header("authorization", "AWS4-HMAC-SHA256 Credential=a").error_for_status(false);
    let answer = answer.body(request.to_string()).await.unwrap();
    let errortype = answer.headers().get("x-amzn-errortype").map_or("", |name| name.to_str().unwrap()).to_owned();
    (answer.status().as_u16(), errortype, answer.json().await.unwrap())
}

#[tokio::test]
async fn a_sent_mail_is_in_the_mailbox() {
    let server = DevMail::open(10).await.unwrap();
    let (status, _, answer) = ask(&server, &mail("Hello")).await;
    assert_eq!(status, 200);
    let id = answer["MessageId"].as_str().unwrap();
    let mailbox = server.mailbox();
    let received = mailbox.get(id).unwrap();
    assert_eq!(received.from, "mail@example.com");
    assert_eq!(received.to, ["ada@example.org"]);
    assert_eq!(received.subject, "Hello");
    assert_eq!((received.text.as_deref(), received.html.as_deref()), (Some("Grüße"), Some("<p>Hello")));
    assert_eq!(received.tags, [("outbox-id".to_owned(), "1".to_owned())]);
    assert_eq!(received.headers, [("X-Outbox-Id".to_owned(), "1".to_owned())]);
    assert!(received.received_at.elapsed().unwrap() < LONG);
    assert!(mailbox.get("another").is_none());
    server.close().await;
}

#[tokio::test]
async fn the_newest_mails_are_kept() {
    let server = DevMail::open(3).await.unwrap();
    for number in 0..5 {
        ask(&server, &mail(&number.to_string())).await;
    }
    let kept: Vec<_> = server.mailbox().newest_first().iter().map(|mail| mail.subject.clone()).collect();
    assert_eq!(kept, ["4", "3", "2"]);
    assert_eq!(server.mailbox().count(), 5);
    server.close().await;
}

#[tokio::test]
async fn a_new_mail_wakes_the_waiting_reader() {
    let server = DevMail::open(3).await.unwrap();
    let mailbox = server.mailbox();
    let waits = tokio::spawn(async move { mailbox.more_than(1).await });
    ask(&server, &mail("one")).await;
    assert!(
        timeout(Duration::from_millis(50), server.mailbox().more_than(1)).await.is_err(),
        "one is not more than one"
    );
    ask(&server, &mail("two")).await;
    assert_eq!(timeout(LONG, waits).await.unwrap().unwrap(), 2);
    assert_eq!(timeout(LONG, server.mailbox().more_than(0)).await.unwrap(), 2, "what came before");
    server.close().await;
}

#[tokio::test]
async fn an_unsupported_request_is_refused_by_field() {
    let server = DevMail::open(3).await.unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut mail = mail("Hello");
        *mail.pointer_mut(pointer).unwrap() = value;
        mail
    };
    let with = |name: &str, value: Value| {
        let mut mail = mail("Hello");
        mail[name] = value;
        mail
    };
    let refused = [
        (changed("/Content", json!({ "Raw": { "Data": "aGVsbG8=" } })), "`Raw`"),
        (changed("/Content", json!({ "Template": { "TemplateName": "a" } })), "`Template`"),
        (changed("/Destination", json!({ "CcAddresses": ["a@example.org"] })), "`CcAddresses`"),
        (changed("/Destination/ToAddresses", json!([])), "ToAddresses"),
        (changed("/Destination/ToAddresses", json!(["nobody"])), "ToAddresses"),
        (changed("/Destination/ToAddresses", json!(["grüße@example.org"])), "ToAddresses"),
        (changed("/FromEmailAddress", json!("nobody")), "FromEmailAddress"),
        (changed("/Content/Simple/Body", json!({})), "Body"),
        (changed("/Content/Simple/Body/Text/Charset", json!("ISO-8859-1")), "Charset"),
        (changed("/Content/Simple/Subject/Data", json!("two\r\nlines")), "Subject"),
        (changed("/Content/Simple/Headers/0/Name", json!("X:Y")), "Headers"),
        (changed("/Content/Simple/Headers/0/Value", json!("é")), "Headers"),
        (changed("/EmailTags/0/Value", json!("two words")), "EmailTags"),
        (with("ConfigurationSetName", json!("set")), "`ConfigurationSetName`"),
        (json!("not an object"), "invalid type"),
    ];
    for (request, named) in refused {
        let (status, errortype, answer) = ask(&server, &request).await;
        assert_eq!((status, errortype.as_str()), (400, "BadRequestException"), "{request}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(named), "{request}: {answer}");
    }
    assert_eq!(server.mailbox().count(), 0);
    server.close().await;
}

#[tokio::test]
async fn large_unsigned_and_misdirected_requests_are_refused() {
    let server = DevMail::open(3).await.unwrap();
    let large = mail(&"a".repeat(300_000));
    let (status, errortype, _) = ask(&server, &large).await;
    assert_eq!((status, errortype.as_str()), (413, "RequestEntityTooLargeException"));

    let session = Session::builder().error_for_status(false).build().unwrap();
    let url = server.endpoint().join("/v2/email/outbound-emails").unwrap();
    let unsigned = session.post(url.clone()).body(mail("Hello").to_string()).await.unwrap();
    assert_eq!(unsigned.status(), 403);
    assert_eq!(unsigned.headers()["x-amzn-errortype"], "MissingAuthenticationTokenException");
    for elsewhere in [session.get(url), session.get(server.endpoint()), session.post(server.endpoint())] {
        let answer = elsewhere.await.unwrap();
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["x-amzn-errortype"], "UnknownOperationException");
    }
    assert_eq!(server.mailbox().count(), 0);
    server.close().await;
}

/// Connections that are idle, hold half a request, or have sent nothing.
#[tokio::test]
async fn closing_ends_every_connection() {
    let server = DevMail::open(3).await.unwrap();
    let address = format!("127.0.0.1:{}", server.endpoint().port().unwrap());
    let session = Session::new();
    let url = server.endpoint().join("/v2/email/outbound-emails").unwrap();
    let signed = session.post(url).header("authorization", "AWS4-HMAC-SHA256 Credential=a");
    signed.body(mail("Hello").to_string()).await.unwrap().bytes().await.unwrap();
    let mut half = TcpStream::connect(&address).await.unwrap();
    half.write_all(b"POST /v2/email/outbound-emails HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{").await.unwrap();
    let mut silent = TcpStream::connect(&address).await.unwrap();

    timeout(LONG, server.close()).await.unwrap();
    for stream in [&mut half, &mut silent] {
        let mut rest = Vec::new();
        // The end, or a reset because of unread data.
        let _ = timeout(LONG, stream.read_to_end(&mut rest)).await.expect("it is closed");
    }
    assert!(TcpStream::connect(&address).await.is_err(), "it still listens");
    assert_eq!(server.mailbox().newest_first().len(), 1, "the mailbox can still be read");
    timeout(LONG, server.close()).await.expect("a second time");
}

#[tokio::test]
async fn the_server_ends_with_its_last_handle() {
    let server = DevMail::open(3).await.unwrap();
    let (address, mailbox) = (format!("127.0.0.1:{}", server.endpoint().port().unwrap()), server.mailbox());
    let mut idle = TcpStream::connect(&address).await.unwrap();
    drop(server);
    assert_eq!(timeout(LONG, idle.read(&mut [0])).await.expect("it is closed").unwrap_or(0), 0);
    assert!(TcpStream::connect(&address).await.is_err(), "it still listens");
    assert_eq!(mailbox.count(), 0);
}
