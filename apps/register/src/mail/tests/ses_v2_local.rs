//! Tests against aws-ses-v2-local, which keeps both bodies.

use std::process::Command;

use serde_json::{Value, json};
use trunkline::Session;
use uuid::Uuid;

use super::double::{Double, installed};
use super::{Mail, link, mail_to, ses};

async fn start() -> Double {
    let program = |path: &str| installed("TRUNKLINE_TEST_NODE", "node", path);
    let mut command = Command::new(program("bin/node"));
    command.arg(program("node_modules/aws-ses-v2-local/dist/cli.js")).args(["--host", "127.0.0.1", "--port", "0"]);
    Double::start(command).await
}

async fn store(server: &Double) -> Vec<Value> {
    let store: Value = Session::new().get(format!("{}/store", server.endpoint)).await.unwrap().json().await.unwrap();
    store["emails"].as_array().cloned().unwrap()
}

#[tokio::test]
async fn both_bodies_arrive_unchanged() {
    let server = start().await;
    let ses = ses(&server.endpoint).await;
    let activation = mail_to("ada@example.org");
    let letters = Mail {
        id: Uuid::now_v7(),
        to: "grüße@bücher.example".replace("grüße", "gruesse"),
        subject: "Grüße, 你好, Здравствуйте, 👋🏽".to_owned(),
        text: "e\u{301} \u{202e}abc\u{202c} “quotes” \\ \" \r\n\t\u{2028} 🧵".to_owned(),
        html: "<p>e\u{301} «naïve» &amp; 日本語 🧵</p>".to_owned(),
    };
    let ids = [ses.send(&activation).await.unwrap(), ses.send(&letters).await.unwrap()];

    let arrived = store(&server).await;
    assert_eq!(arrived.len(), 2, "{arrived:?}");
    for (mail, id) in [&activation, &letters].into_iter().zip(&ids) {
        let one =
            arrived.iter().find(|one| one["messageId"] == id.as_str()).unwrap_or_else(|| panic!("{id} in {arrived:?}"));
        assert_eq!(one["from"], "mail@example.com");
        assert_eq!(one["subject"], mail.subject.as_str());
        assert_eq!(one["body"], json!({ "text": mail.text, "html": mail.html }));
        assert_eq!(one["headers"], json!([{ "name": "X-Outbox-Id", "value": mail.id.to_string() }]));
    }
    let to = |mail: &Value| mail["destination"]["to"].clone();
    let mut to: Vec<_> = arrived.iter().map(to).collect();
    to.sort_by_key(Value::to_string);
    // SES requires the domain in Punycode.
    assert_eq!(to, [json!(["ada@example.org"]), json!(["gruesse@xn--bcher-kva.example"])]);
    assert!(activation.text.contains(&link()));
}
