//! The pages, as a person with a browser meets them: with JavaScript and without.

use crate::support::Browser;

/// A browser that sees no errors where there are some would prove nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_tells_of_errors_and_runs_scripts_only_if_told_to() {
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
