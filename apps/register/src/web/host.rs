//! By which name a page was asked for. A page of another site can make its own name stand for this
//! machine's address (DNS rebinding), and a browser then lets it read what this machine shows to
//! its people alone. But it cannot make the browser call that name another.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// Refuses whoever asks by another name than this machine's addresses, `localhost` or, if there is
/// one, the public name.
pub(crate) async fn own(State(public): State<Option<Arc<str>>>, request: Request, next: Next) -> Response {
    match asked_for(&request) {
        Some(host) if is_own(host.host(), public.as_deref()) => next.run(request).await,
        _ => {
            let detail =
                "This page is shown to those who ask for it by an address, as localhost or by the public name.";
            Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response()
        }
    }
}

/// HTTP/2 has it in the target, where it counts for more (RFC 9112, 3.2.2).
fn asked_for(request: &Request) -> Option<Authority> {
    let header = || request.headers().get(HOST).map(HeaderValue::as_bytes);
    request.uri().authority().cloned().or_else(|| Authority::try_from(header()?).ok())
}

/// What is an address is nobody's name.
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
    fn a_name_that_anybody_may_have_is_not_our_own() {
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
