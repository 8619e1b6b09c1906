//! Guard against DNS rebinding: checks the host name of a request. Another site can point its own
//! name at this machine, and a browser then lets its scripts read local pages; but the browser
//! still sends the other site's name.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// Refuses requests for host names other than IP addresses, `localhost` and the public name, if
/// set.
pub(crate) async fn require_own(State(public): State<Option<Arc<str>>>, request: Request, next: Next) -> Response {
    match asked_for(&request) {
        Some(host) if is_own(host.host(), public.as_deref()) => next.run(request).await,
        _ => {
            let detail =
                "This page is shown to those who ask for it by an address, as localhost or by the public name.";
            Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response()
        }
    }
}

/// Host of a request: the target's authority takes precedence over `Host` (RFC 9112, 3.2.2).
fn asked_for(request: &Request) -> Option<Authority> {
    let header = || request.headers().get(HOST).map(HeaderValue::as_bytes);
    request.uri().authority().cloned().or_else(|| Authority::try_from(header()?).ok())
}

/// Returns true for an IP address, which no other site can claim, and for the service's own names.
fn is_own(host: &str, public: Option<&str>) -> bool {
    let host = host.to_ascii_lowercase();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<Ipv4Addr>().is_ok()
        || bare.is_some_and(|bare| bare.parse::<Ipv6Addr>().is_ok())
        || public == Some(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_host_name_is_not_own() {
        for (host, own) in [
            ("localhost", true),
            ("LOCALHOST", true),
            ("app.localhost", true),
            ("127.0.0.1", true),
            ("192.0.2.1", true),
            ("[::1]", true),
            ("accounts.example.com", true),
            ("Accounts.Example.com", true),
            ("example.com", false),
            ("localhost.example", false),
            ("notlocalhost", false),
            ("127.0.0.1.example", false),
            ("[::1].example", false),
            ("", false),
        ] {
            assert_eq!(is_own(host, Some("accounts.example.com")), own, "{host:?}");
        }
        assert!(!is_own("accounts.example.com", None));
    }
}
