//! Metrics and console: they agree with the statistics of the session.

use std::collections::BTreeMap;

use super::inside::{Inside, Up};
use crate::support::{ServiceFigures, until};

/// Samples of the OpenMetrics text. Each is unique and follows its own description.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut family = "";
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            family = described.split(' ').next().unwrap();
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(series.starts_with(family), "{line} is not below its # TYPE");
            let twice = samples.insert(series.to_owned(), value.parse().unwrap());
            assert_eq!(twice, None, "{series} is there twice");
        }
    }
    samples
}

/// Makes this number of registrations, and waits until all mails are sent.
async fn send(up: &Up, mails: u64) {
    for number in 0..mails {
        assert_eq!(up.register(&format!("m{number}@example.com")).await.status, 204);
    }
    until("all mails are sent", async || {
        let outbox = &up.app.outbox;
        (outbox.figures().sent == mails && outbox.backlog().await.ok()?.pending == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_equal_the_session_statistics() {
    let up = Inside::new().up().await;
    send(&up, 5).await;
    let heard = up.get_ops("/metrics").await;
    assert_eq!(heard.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let samples = parsed(&heard.body);
    let stats = up.app.session.stats();
    assert!(stats.reused > 0, "{stats:?}");
    for (series, value) in [
        ("trunkline_connections_created_total", stats.created),
        ("trunkline_connections_reused_total", stats.reused),
        ("trunkline_dials_failed_total", 0),
        ("trunkline_connections_limit", 100),
        ("trunkline_connection_wait_time_seconds_count", stats.wait.count()),
        ("trunkline_connection_wait_time_seconds_bucket{le=\"+Inf\"}", stats.wait.count()),
        ("trunkline_connection_create_time_seconds_count", stats.connect.count()),
        ("register_mails_sent_total", 5),
        ("register_mails_pending", 0),
        ("register_mails_given_up", 0),
        ("register_mails_dead_total", 0),
        ("register_mails_revived_total", 0),
        ("register_outbox_paused", 0),
        ("db_client_connection_max", up.app.store.figures().limit.into()),
    ] {
        assert_eq!(samples.get(series), Some(&(value as f64)), "{series} in {}", heard.body);
    }
    let figures = ServiceFigures::new(heard.body.clone());
    let host = &stats.hosts[0];
    let (address, port) = host.host.rsplit_once(':').unwrap();
    let server = format!("server_address=\"{address}\",server_port=\"{port}\"");
    let state = |state: &str| format!("http_connection_state=\"{state}\"");
    for (name, count) in [("active", host.in_use), ("idle", host.idle)] {
        assert_eq!(figures.sum("http_client_open_connections", &[&server, &state(name)]), count as f64);
    }
    assert_eq!(figures.sum("http_client_open_connections", &[]), stats.open as f64);
    assert_eq!(figures.sum("trunkline_requests_waiting", &[]), 0.0);
    let requests = r#"http_request_method="POST",http_route="/api/register",http_response_status_code="204""#;
    assert_eq!(figures.sum("http_server_request_duration_seconds_count", &[requests]), 5.0);
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invented_paths_and_methods_make_no_series() {
    let up = Inside::new().up().await;
    for number in 0..20 {
        up.get(&format!("/made/up/{number}")).await;
        up.request(format!("MADEUP{number}").parse().unwrap(), "/", &[], "").await;
        up.get(&format!("/assets/{number}")).await;
    }
    let heard = up.get_ops("/metrics").await;
    let counted = heard.body.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count"));
    let counted: Vec<_> = counted.collect();
    assert_eq!(counted.len(), 3, "{counted:?}");
    assert!(counted.iter().all(|line| line.ends_with(" 20")), "{counted:?}");
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_the_session() {
    let up = Inside::new().up().await;
    up.get_ops("/console").await.has("No connections at the moment");
    send(&up, 4).await;
    let stats = up.app.session.stats();
    let page = up.get_ops("/console").await;
    page.has(&format!("<output id=\"reused\">{}</output>", stats.reused));
    page.has(&format!("<output id=\"created\">{}</output>", stats.created));
    page.has(&stats.hosts[0].host);

    let figures = up.get_ops("/console/figures").await.json();
    for (name, count) in
        [("created", stats.created), ("reused", stats.reused), ("limit", 100), ("open", stats.open as u64)]
    {
        assert_eq!(figures[name], count, "{name}");
    }
    let sum = ["in_use", "idle", "dialing"].iter().map(|name| figures[*name].as_u64().unwrap()).sum::<u64>();
    assert_eq!(figures["open"], sum);
    let buckets = figures["wait"]["buckets"].as_array().unwrap();
    let all: u64 = buckets.iter().map(|bucket| bucket[1].as_u64().unwrap()).sum();
    assert_eq!(figures["wait"]["count"], all);
    assert_eq!(figures["hosts"].as_array().unwrap().len(), 1);
    assert_eq!(figures["mail"]["sent"], 4);
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_only_on_its_own_address() {
    let up = Inside::new().up().await;
    for path in ["/metrics", "/console", "/console/figures"] {
        assert_eq!(up.get(path).await.status, 404, "{path}");
    }
    assert_eq!(up.get_ops("/").await.header("location"), "/console");
    let heard = up.get_ops("/api/register").await;
    assert_eq!(heard.status, 404);
    heard.problem();
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_pages_are_refused_under_a_foreign_host_name() {
    let up = Inside::new().public_url("https://accounts.example.com").up().await;
    up.register("jane@example.com").await;
    up.token(1).await;
    let mail = up.mailbox.newest_first()[0].id.clone();
    let (mail, html) = (format!("/dev/mail/{mail}"), format!("/dev/mail/{mail}/html"));
    let public = [("/dev/mail", false), (&mail, false), (&html, false)];
    for (path, ops) in public.into_iter().chain([("/console", true), ("/console/figures", true)]) {
        for host in ["localhost:3000", "127.0.0.1:3000", "[::1]:3000", "accounts.example.com"] {
            assert_eq!(up.get_as(host, path, ops).await.status, 200, "{host} {path}");
        }
        for host in ["evil.example:3000", "127.0.0.1.evil.example", "localhost.evil.example", "", "@"] {
            let heard = up.get_as(host, path, ops).await;
            assert_eq!(heard.status, 421, "{host:?} {path}");
            assert!(!heard.body.contains("jane@example.com"), "{heard:?}");
        }
    }
    // Metrics and health endpoints accept any host name.
    for (path, ops) in [("/metrics", true), ("/livez", true), ("/", false), ("/readyz", false)] {
        assert_eq!(up.get_as("register.internal:3001", path, ops).await.status, 200, "{path}");
    }
    up.down().await;
}
