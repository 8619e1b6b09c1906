//! Styles, scripts and the icon, within the program. Their names change with what is in them, so
//! they may be kept for ever.

use std::fmt;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::problem::Problem;

/// A file that pages refer to, by the path that it is shown as.
#[derive(Debug)]
pub(crate) struct Asset {
    name: &'static str,
    ending: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    hash: u64,
}

pub(crate) const STYLE: Asset = Asset::css("style", include_bytes!("../../assets/style.css"));
pub(crate) const REGISTER: Asset = Asset::js("register", include_bytes!("../../assets/register.js"));
pub(crate) const DEV_MAIL: Asset = Asset::js("dev-mail", include_bytes!("../../assets/dev-mail.js"));
pub(crate) const CONSOLE_STYLE: Asset = Asset::css("console", include_bytes!("../../assets/console.css"));
pub(crate) const CONSOLE: Asset = Asset::js("console", include_bytes!("../../assets/console.js"));
pub(crate) const ICON: Asset = Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../../assets/icon.svg"));

const ALL: [Asset; 6] = [STYLE, REGISTER, DEV_MAIL, CONSOLE_STYLE, CONSOLE, ICON];

/// Serves them all.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{name}", get(asset))
}

async fn asset(Path(name): Path<String>) -> Response {
    let path = format!("/assets/{name}");
    let Some(asset) = ALL.iter().find(|asset| asset.to_string() == path) else {
        return Problem::new(StatusCode::NOT_FOUND, "There is no such file.").into_response();
    };
    let headers = [(CONTENT_TYPE, asset.content_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.bytes).into_response()
}

impl Asset {
    const fn css(name: &'static str, bytes: &'static [u8]) -> Self {
        Self::new(name, "css", "text/css; charset=utf-8", bytes)
    }

    const fn js(name: &'static str, bytes: &'static [u8]) -> Self {
        Self::new(name, "js", "text/javascript; charset=utf-8", bytes)
    }

    const fn new(name: &'static str, ending: &'static str, content_type: &'static str, bytes: &'static [u8]) -> Self {
        Self { name, ending, content_type, bytes, hash: fnv(bytes) }
    }
}

/// FNV-1a, while compiling: it has to tell one version from the next, no more.
const fn fnv(bytes: &[u8]) -> u64 {
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

/// Its path: `/assets/style-85944171f73967e8.css`.
impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/assets/{}-{:016x}.{}", self.name, self.hash, self.ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_its_specification() {
        // Fowler, Noll, Vo: test vectors of FNV-1a, 64 bits.
        assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
