//! Security headers and request id of every response.

use std::collections::BTreeSet;

use http::Method;

use super::inside::{Inside, RouterResponse, Up};

/// One response of each kind: page, problem, file, JSON, redirect, empty.
async fn all_kinds(up: &Up) -> Vec<RouterResponse> {
    let mut all = Vec::new();
    let page = up.get("/").await.body;
    let style = page.split('"').find(|part| part.starts_with("/assets/style")).unwrap();
    let looked =
        ["/", "/check-mail", "/activate", "/dev/mail", "/dev/mail/x", "/nothing", "/livez", "/readyz", "/openapi.json"];
    for path in looked.into_iter().chain([style]) {
        all.push(up.get(path).await);
    }
    for path in ["/metrics", "/console", "/console/figures", "/", "/nothing"] {
        all.push(up.get_ops(path).await);
    }
    all.push(up.post("/api/register", "{").await);
    all.push(up.register("a@example.com").await);
    all.push(up.send_form("/register", "email=b%40example.com&password=Quittenmus-77").await);
    all.push(up.request(Method::PUT, "/", &[], "").await);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_has_the_security_headers() {
    let up = Inside::new().up().await;
    let mut ids = BTreeSet::new();
    for heard in all_kinds(&up).await {
        let policy = heard.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"), "{heard:?}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "strict-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", ""),
        ] {
            assert_eq!(heard.header(name), value, "{name}: {heard:?}");
        }
        assert!(heard.header("permissions-policy").contains("camera=()"));
        assert!(ids.insert(heard.header("x-request-id").to_owned()), "an id came twice: {heard:?}");
        assert_eq!(heard.header("x-request-id").len(), 36);
        let kept = heard.header("cache-control");
        let file = ["text/css; charset=utf-8"].contains(&heard.header("content-type"));
        assert_eq!(kept, if file { "public, max-age=31536000, immutable" } else { "no-store" }, "{heard:?}");
        assert!(!heard.headers.contains_key("set-cookie"));
    }
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_over_https_have_strict_transport_security() {
    let up = Inside::new().public_url("https://example.com").up().await;
    for heard in [up.get("/").await, up.get("/nothing").await, up.register("a@example.com").await] {
        assert_eq!(heard.header("strict-transport-security"), "max-age=63072000");
    }
    // The console has no such path.
    assert_eq!(up.get_ops("/console").await.header("strict-transport-security"), "");
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_accepted_only_from_proxies() {
    for (networks, given, taken) in [
        (None, "made-up", false),
        (Some("private"), "made-up", false),
        (Some("192.0.2.0/24"), "01890a5d-ac96-774b-bcce-b302099a8057", true),
        (Some("192.0.2.0/24"), "with space", false),
        (Some("192.0.2.0/24"), "", false),
    ] {
        let inside = Inside::new();
        let inside = if let Some(networks) = networks { inside.trust(networks) } else { inside };
        let up = inside.up().await;
        let heard = up.request(Method::GET, "/livez", &[("x-request-id", given)], "").await;
        assert_eq!(heard.header("x-request-id") == given, taken, "{heard:?}");
        up.down().await;
    }
}
