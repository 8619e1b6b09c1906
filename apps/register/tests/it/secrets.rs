//! Secrets: tokens, passwords and hashes appear only in their own places.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::support::{Database, Load, Mode, Service, Ses, Settings, TestResponse, until};

/// Secrets that must not appear, with their names.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn password(&mut self, password: &str) {
        self.each_form("a password", password.as_bytes());
        self.0.push(("a password".into(), password.into()));
    }

    /// Adds the token as text and as bytes. Only the database may hold its digest.
    fn token(&mut self, token: &str) {
        self.0.push(("a token".into(), token.into()));
        self.each_form("a token as text", token.as_bytes());
        let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
        self.each_form("a token's bytes", &bytes);
    }

    fn digest(&mut self, token: &str) {
        self.each_form("a token's digest", &Sha256::digest(URL_SAFE_NO_PAD.decode(token).unwrap()));
        self.each_form("a token's digest", &Sha256::digest(token));
    }

    /// Adds the salt and the tag of the hash.
    fn hash(&mut self, phc: &str) {
        for part in phc.split('$').rev().take(2) {
            self.0.push(("a password's hash".into(), part.into()));
        }
    }

    fn each_form(&mut self, what: &str, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // Bytes in Rust's `Debug` format.
        let list = bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        for form in [
            hex.to_uppercase(),
            hex,
            list,
            STANDARD.encode(bytes),
            STANDARD_NO_PAD.encode(bytes),
            URL_SAFE_NO_PAD.encode(bytes),
        ] {
            self.0.push((what.to_owned(), form));
        }
    }

    fn must_not_be_in(&self, place: &str, text: &str) {
        for (what, secret) in &self.0 {
            assert!(secret.len() >= 8, "{what} is too short to look for");
            if let Some(at) = text.find(secret.as_str()) {
                let context: String =
                    text[..at].chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
                panic!("{what} is in {place}, after: {context}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_in_their_places_on_sqlite() {
    no_secret_is_where_it_does_not_belong(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_in_their_places_on_postgres() {
    no_secret_is_where_it_does_not_belong(Database::postgres().await).await;
}

async fn no_secret_is_where_it_does_not_belong(database: Database) {
    let ses = Ses::start();
    // All output of the service.
    let settings = Settings::new(&database).ses(&ses).environment("RUST_LOG", "trace").with("--mail-interval", "0s");
    let service = settings.start().await;
    let mut secrets = Secrets::default();
    secrets.password("Heidelbeerkuchen/Geheimnis+9");
    let mut heard = a_life(&service, &ses, &mut secrets).await;
    for hash in database.column("SELECT password_hash FROM requests WHERE password_hash IS NOT NULL").await {
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        secrets.hash(&hash);
    }
    provoke_errors(&service, &ses, &mut secrets, &mut heard).await;
    for hash in password_hashes(&database).await {
        secrets.hash(&hash);
    }

    let mut known = Secrets(secrets.0.clone());
    for mail in ses.sent().iter().filter(|mail| mail.text.contains("?token=")) {
        known.token(mail.token());
        known.digest(mail.token());
    }
    for path in ["/metrics", "/console", "/console/figures", "/livez", "/readyz"] {
        let answer = service.get_ops(path).await.unwrap();
        known.must_not_be_in(path, &format!("{answer:?}"));
    }
    for answer in &heard {
        known.must_not_be_in("an answer", &format!("{answer:?}"));
    }
    service.signal("TERM");
    let finished = service.finish().await;
    assert_eq!(finished.code, Some(0));
    known.must_not_be_in("the log", &finished.log);
    assert!(!finished.log.contains("$argon2"), "a hash is in the log");
    in_the_database(&database, &ses).await;
}

async fn password_hashes(database: &Database) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for table in ["users", "requests"] {
        let sql = format!("SELECT password_hash FROM {table} WHERE password_hash IS NOT NULL");
        all.extend(database.column(&sql).await);
    }
    all
}

/// Walks through all user actions in order. Returns the responses.
async fn a_life(service: &Service, ses: &Ses, secrets: &mut Secrets) -> Vec<TestResponse> {
    let mut heard = Vec::new();
    for number in 0..10 {
        let password = format!("Eichelhaeher-{number}-Sauerkirsche");
        secrets.password(&password);
        heard.push(service.register(&format!("x{number}@example.com"), &password).await.unwrap());
    }
    until("the mails", async || (ses.count() >= 10).then_some(())).await;
    for mail in &ses.sent()[..5] {
        heard.push(service.get(&format!("/activate?token={}", mail.token())).await.unwrap());
        heard.push(service.activate(mail.token()).await.unwrap());
        heard.push(service.activate(mail.token()).await.unwrap());
    }
    // Repeated for active and inactive addresses, and by form.
    for number in [0, 9] {
        let (email, password) = (format!("x{number}@example.com"), format!("Nachtigall-{number}-Holunder"));
        secrets.password(&password);
        heard.push(service.register(&email, &password).await.unwrap());
        heard.push(service.post("/api/resend", &json!({ "email": email })).await.unwrap());
        let form = [("email", email.as_str()), ("password", password.as_str())];
        heard.push(TestResponse::of(service.session().post(service.url("/register")).form(&form)).await.unwrap());
    }
    // The activation page contains the requested token, in the form that submits it.
    heard.retain(|answer| !answer.body.contains("name=\"token\""));
    heard
}

/// Provokes errors that could repeat their input.
async fn provoke_errors(service: &Service, ses: &Ses, secrets: &mut Secrets, heard: &mut Vec<TestResponse>) {
    let password = "Rotkehlchen-3-Stachelbeere";
    secrets.password(password);
    for body in [
        json!(password),
        json!([password]),
        json!({ "email": password, "password": 1 }),
        json!({ "email": "a@example.com", "password": { "is": password } }),
        json!({ "email": "a@example.com", "password": password.repeat(50) }),
        json!({ "email": "not an address", "password": password }),
        json!({ "email": "a@example.com", "password": "x", "else": password }),
    ] {
        let mut answer = service.post("/api/register", &body).await.unwrap();
        // An address is not a secret, and may be repeated.
        if body["email"] == password {
            answer.body.clear();
        }
        heard.push(answer);
    }
    let broken = format!("{{\"email\": \"a@example.com\", \"password\": \"{password}\"");
    let request = service.session().post(service.url("/api/register")).header("content-type", "application/json");
    heard.push(TestResponse::of(request.body(broken)).await.unwrap());
    let token = URL_SAFE_NO_PAD.encode([7; 32]);
    secrets.token(&token);
    heard.push(service.activate(&token).await.unwrap());
    heard.push(service.activate(&token[1..]).await.unwrap());
    heard.push(service.get(&format!("/nowhere?token={token}")).await.unwrap());
    // Mails that fail to be sent.
    for mode in [Mode::Broken, Mode::Throttling] {
        ses.set(mode);
        let asked = ses.asked();
        let outcomes = Load::start(&format!("{mode:?}"), 2, 2, &[service.url("")]).finish().await;
        assert!(outcomes.iter().all(|outcome| outcome.status == Some(204)), "{outcomes:?}");
        until("SES has refused one", async || (ses.asked() > asked).then_some(())).await;
    }
    secrets.password(crate::support::PASSWORD);
    ses.set(Mode::Take);
}

/// Asserts that the database holds password hashes and token digests in their columns, and no other
/// secret.
async fn in_the_database(database: &Database, ses: &Ses) {
    let mut secrets = Secrets::default();
    for number in 0..10 {
        secrets.password(&format!("Eichelhaeher-{number}-Sauerkirsche"));
        secrets.password(&format!("Nachtigall-{number}-Holunder"));
    }
    for mail in ses.sent().iter().filter(|mail| mail.text.contains("?token=")) {
        secrets.token(mail.token());
    }
    let dump = database.dump().await;
    assert!(dump.contains("x0@example.com"), "the dump holds what is there");
    secrets.must_not_be_in("the database", &dump);

    for column in ["address", "address_key"] {
        assert_eq!(database.count(&format!("SELECT count(*) FROM users WHERE {column} LIKE '%$argon2%'")).await, 0);
    }
    for column in ["message_id", "last_error"] {
        assert_eq!(database.count(&format!("SELECT count(*) FROM outbox WHERE {column} LIKE '%$argon2%'")).await, 0);
    }
    // Expired rows are removed.
    let left = "SELECT count(*) FROM requests r JOIN users u ON u.id = r.user_id \
                WHERE u.activated_at IS NOT NULL AND r.created_at < u.activated_at AND r.password_hash IS NOT NULL";
    assert_eq!(database.count(left).await, 0);
}
