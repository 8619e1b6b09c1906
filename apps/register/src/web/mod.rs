//! Public router: the API, the pages, the health endpoints and the OpenAPI document.
//!
//! Layers of a request, from the outside in: problem pages, request id and log, response headers,
//! panic handler, client limits, handler. Handlers extract their dependencies from the state:
//! `State<Accounts>`, `State<Session>`, and so on.

mod api;
mod pages;

mod fields;
mod problem;

mod client;
pub(crate) mod host;
mod limits;

pub(crate) mod assets;
mod error_responses;
mod headers;
pub(crate) mod health;
pub(crate) mod observe;
mod openapi;

use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::StatusCode;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::{CsrfLayer, ProtectionError};
use trunkline::Session;
use trunkline_lifespan::{Listeners, Readiness};
use url::Url;

pub use self::fields::BODY_LIMIT;
pub use self::limits::{Limits, Rate};
pub use self::observe::Durations;
pub use self::problem::{FieldError, Problem};
use crate::accounts::Accounts;
use crate::dev_mail::Mailbox;
use crate::outbox::Outbox;
use crate::settings::TrustedProxies;
use crate::store::Store;

/// Application state of the handlers of both routers. A clone is a handle to the same state.
#[derive(Clone, Debug)]
pub struct WebState {
    /// Accounts.
    pub accounts: Accounts,
    /// The session, one for the whole application.
    pub session: Session,
    /// The most connections that the session opens.
    pub session_limit: usize,
    /// The database.
    pub store: Store,
    /// Sender of the mails.
    pub outbox: Outbox,
    /// The development mailbox, where there is one: it is shown to everyone.
    pub mailbox: Option<Mailbox>,
    /// Readiness: true between the start and the stop of the service.
    pub readiness: Readiness,
    /// Durations of the requests of both routers.
    pub durations: Durations,
    /// The connections of clients.
    pub listeners: Listeners,
}

/// Settings of the public router.
#[derive(Clone, Debug)]
pub struct WebSettings {
    /// Public URL of the service. `https` turns on `Strict-Transport-Security`; links begin with
    /// its path.
    pub public_url: Url,
    /// Proxies whose forwarding headers are trusted.
    pub trusted_proxies: TrustedProxies,
    /// The limits of clients. Something has to [sweep](Limits::sweep) them.
    pub limits: Limits,
}

/// The public router.
pub fn router(app: WebState, settings: WebSettings) -> Router {
    let site = Site::new(&settings, app.mailbox.is_some());
    let web = Web { app, settings: Arc::new(settings), site: Arc::new(site) };
    let limited = from_fn_with_state(web.clone(), limits::by_client);
    let routes = Router::new()
        .merge(api::router())
        .merge(pages::router(&web))
        .route_layer(limited)
        .merge(openapi::router())
        .merge(health::router())
        .merge(assets::router())
        .fallback(pages::not_found)
        .method_not_allowed_fallback(pages::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    let (durations, proxies) = (web.app.durations.clone(), web.settings.trusted_proxies.clone());
    surround(routes, web.site.secure, durations, &proxies)
        .layer(from_fn_with_state(web.clone(), pages::for_people))
        .with_state(web)
}

/// Adds the layers that both routers share.
pub(crate) fn surround<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    secure: bool,
    durations: Durations,
    proxies: &TrustedProxies,
) -> Router<S> {
    let routes = routes.layer(CatchPanicLayer::custom(|_| panicked()));
    let routes = routes.layer(map_response(move |response: Response| ready(headers::add(response, secure))));
    observe::layers(routes, durations, proxies.clone())
}

/// Layer that refuses cross-site forms (CSRF). `origin`: the public origin, if it differs from the
/// requested one.
pub(crate) fn own_forms(origin: Option<&str>) -> CsrfLayer<fn(ProtectionError) -> Response> {
    let layer = CsrfLayer::new();
    // An origin that cannot be trusted is none that a browser would ever name.
    let layer = origin.map_or(layer.clone(), |origin| layer.add_trusted_origin(origin).unwrap_or_default());
    layer.with_rejection_response(|_| {
        Problem::new(StatusCode::FORBIDDEN, "This form was not sent from a page of this site.").into_response()
    })
}

/// The panic itself has gone to the log, by the hook of the process.
fn panicked() -> Response {
    tracing::error!("a handler panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, problem::OUR_FAULT).into_response()
}

/// The state of the public router.
#[derive(Clone)]
struct Web {
    app: WebState,
    settings: Arc<WebSettings>,
    site: Arc<Site>,
}

/// Site-wide values of the page templates.
struct Site {
    /// Path prefix of links: empty, or the prefix that a proxy strips.
    base: String,
    /// There is a development mailbox to look into.
    dev: bool,
    /// It is reached over https.
    secure: bool,
    /// As browsers write it in `Origin`.
    origin: String,
    /// Its name, as browsers write it in `Host`, without the port.
    name: Option<Arc<str>>,
}

impl Site {
    fn new(settings: &WebSettings, dev: bool) -> Self {
        let url = &settings.public_url;
        let base = url.path().trim_end_matches('/').to_owned();
        let (origin, name) = (url.origin().ascii_serialization(), url.host_str().map(Arc::from));
        Self { base, dev, secure: url.scheme() == "https", origin, name }
    }
}

/// Implements `FromRef` for the parts of the state that handlers extract.
macro_rules! parts {
    ($($state:ty: $($part:ty = |$it:ident| $value:expr),+;)+) => {
        $($(impl FromRef<$state> for $part {
            fn from_ref($it: &$state) -> Self {
                $value.clone()
            }
        })+)+
    };
}

parts! {
    WebState: Session = |app| app.session, Store = |app| app.store, Outbox = |app| app.outbox, Readiness = |app| app.readiness;
    Web: WebState = |web| web.app, Accounts = |web| web.app.accounts, Arc<Site> = |web| web.site,
        Limits = |web| web.settings.limits, TrustedProxies = |web| web.settings.trusted_proxies;
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_with_all_headers() {
        async fn panics() -> &'static str {
            panic!("a test's")
        }
        let routes = Router::new().route("/", get(panics));
        let router: Router = surround(routes, false, Durations::default(), &TrustedProxies::default());
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        for header in ["content-type", "content-security-policy", "x-request-id"] {
            assert!(response.headers().contains_key(header), "{header}");
        }
        let body = axum::body::to_bytes(response.into_body(), BODY_LIMIT).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["detail"], problem::OUR_FAULT);
    }
}
