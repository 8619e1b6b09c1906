//! Tests against moto, which has users and identities and checks each signature.

use std::process::Command;

use serde_json::{Value, json};
use tokio::sync::OnceCell;
use trunkline::{Pool, Session};

use super::double::{Double, installed};
use super::{Credentials, Ses, SesSettings, mail_to, settings};
use crate::mail::Unsent;

/// Number of calls that moto accepts without a signature: user, policy, key, identity. Later
/// signatures are checked.
const UNSIGNED: &str = "4";

const VERIFIED: &str = "mail@example.com";

/// Server shared by all tests. A static is never dropped: its watchdog ends it with the test
/// process.
struct Moto {
    server: Double,
    key_id: String,
    secret: String,
}

impl Moto {
    async fn shared() -> &'static Self {
        static SHARED: OnceCell<Moto> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        let mut command = Command::new(installed("TRUNKLINE_TEST_ENV", "venv", "bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", "0"]).env("INITIAL_NO_AUTH_ACTION_COUNT", UNSIGNED);
        let server = Double::start(command).await;
        let everything =
            json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
        let session = Session::new();
        iam(&session, &server, &[("Action", "CreateUser"), ("UserName", "register")]).await;
        let policy = everything.to_string();
        let may =
            [("Action", "PutUserPolicy"), ("UserName", "register"), ("PolicyName", "all"), ("PolicyDocument", &policy)];
        iam(&session, &server, &may).await;
        let key = iam(&session, &server, &[("Action", "CreateAccessKey"), ("UserName", "register")]).await;
        let identity = session
            .post(format!("{}/v2/email/identities", server.endpoint))
            .header("authorization", as_whom("ses"))
            .json(&json!({ "EmailIdentity": VERIFIED }));
        identity.await.unwrap();
        session.close().await;
        Self { server, key_id: within(&key, "AccessKeyId"), secret: within(&key, "SecretAccessKey") }
    }

    fn settings(&self, secret: &str) -> SesSettings {
        SesSettings {
            credentials: Credentials::Fixed { key_id: self.key_id.clone(), secret: secret.into() },
            ..settings(&self.server.endpoint)
        }
    }

    async fn ses(&self) -> Ses {
        Ses::open(self.settings(&self.secret), &Pool::new()).await.unwrap()
    }

    /// Mails sent to this address.
    async fn sent_to(&self, address: &str) -> Vec<Value> {
        let url = format!("{}/moto-api/data.json", self.server.endpoint);
        let all: Value = Session::new().get(url).await.unwrap().json().await.unwrap();
        let sent = all["ses"]["Message"].as_array().cloned().unwrap_or_default();
        sent.into_iter().filter(|message| message.to_string().contains(address)).collect()
    }
}

async fn iam(session: &Session, server: &Double, form: &[(&str, &str)]) -> String {
    let answer = session.post(&server.endpoint).header("authorization", as_whom("iam")).form(form).await;
    answer.unwrap().text().await.unwrap()
}

/// Authorization header for moto, which reads the service name from it.
fn as_whom(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=nobody/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// Text of an XML element.
fn within(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once('<').unwrap().0.to_owned()
}

#[tokio::test]
async fn a_correctly_signed_mail_is_sent() {
    let moto = Moto::shared().await;
    let mail = mail_to("signed@example.org");
    let id = moto.ses().await.send(&mail).await.unwrap();
    let sent = moto.sent_to("signed@example.org").await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["id"], id.as_str());
    assert_eq!((&sent[0]["subject"], &sent[0]["body"]), (&json!(mail.subject), &json!(mail.html)));
}

#[tokio::test]
async fn a_wrong_secret_pauses_all_mails() {
    let moto = Moto::shared().await;
    let ses = Ses::open(moto.settings("not the secret"), &Pool::new()).await.unwrap();
    let unsent = ses.send(&mail_to("unsigned@example.org")).await.unwrap_err();
    assert!(matches!(unsent, Unsent::Paused(_)), "{}", unsent.chain());
    assert!(unsent.chain().contains("403: ") && unsent.chain().contains("SignatureDoesNotMatch"), "{}", unsent.chain());
    assert!(moto.sent_to("unsigned@example.org").await.is_empty());
}

#[tokio::test]
async fn an_unknown_key_pauses_all_mails() {
    let moto = Moto::shared().await;
    let credentials = Credentials::Fixed { key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(), secret: "whatever".into() };
    let stranger = SesSettings { credentials, ..moto.settings("") };
    let unsent =
        Ses::open(stranger, &Pool::new()).await.unwrap().send(&mail_to("stranger@example.org")).await.unwrap_err();
    assert!(matches!(unsent, Unsent::Paused(_)), "{}", unsent.chain());
    assert!(unsent.chain().contains("403: ") && unsent.chain().contains("InvalidClientTokenId"), "{}", unsent.chain());
}

#[tokio::test]
async fn an_unverified_sender_pauses_all_mails() {
    let moto = Moto::shared().await;
    let unverified = SesSettings { from: "Nobody <nobody@example.net>".to_owned(), ..moto.settings(&moto.secret) };
    let ses = Ses::open(unverified, &Pool::new()).await.unwrap();
    let unsent = ses.send(&mail_to("never@example.org")).await.unwrap_err();
    assert!(matches!(unsent, Unsent::Paused(_)), "{}", unsent.chain());
    assert!(unsent.chain().contains("not verified"), "{}", unsent.chain());
    assert!(moto.sent_to("never@example.org").await.is_empty());
}
