//! A response: its head is here, its body comes as it is read.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, Version};
use http_body::Body as _;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use url::Url;

use super::decoded::DecodedBody;
use super::history::{RedirectHop, ResponseHistory};
use super::request_settings::SharedSettings;
use super::request_url::RequestUrl;
use crate::body::{Charset, without_bom};
use crate::error::{Error, Kind, Phase, RequestSent, Result};
use crate::pool::{ConnectionInfo, InFlightGuard, ResponseBody};

/// The response to a request: status and headers at once, the body when it is read.
///
/// Read the body to its end, or drop the response: an unread body keeps its connection in use until
/// its deadline.
///
/// ```no_run
/// # async fn run(session: trunkline::Session) -> trunkline::Result<()> {
/// let response = session.get("https://example.com/").await?;
/// println!("{} from {}", response.status(), response.url());
/// println!("{}", response.text().await?);
/// # Ok(())
/// # }
/// ```
pub struct Response {
    pub(super) head: http::response::Parts,
    pub(super) body: DecodedBody,
    method: Method,
    pub(super) request_url: Arc<RequestUrl>,
    pub(super) history: Vec<RedirectHop>,
    max_body_size: usize,
}

impl Response {
    pub(super) fn new(
        response: http::Response<ResponseBody>,
        method: Method,
        request_url: Arc<RequestUrl>,
        history: Vec<RedirectHop>,
        settings: &SharedSettings,
        deadline: Option<Instant>,
    ) -> Self {
        let (mut head, body) = response.into_parts();
        let body = DecodedBody::new(&mut head, body, settings.decompress, deadline);
        Self { head, body, method, request_url, history, max_body_size: settings.max_body_size }
    }

    /// The request counts as under way until the end of the body.
    pub(super) fn hold(&mut self, guard: InFlightGuard) {
        self.body.hold(guard);
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The headers. Those of a body that is decoded have no `content-encoding` and no
    /// `content-length` any more.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The address that answered: the last one, if redirects were followed.
    pub fn url(&self) -> &Url {
        &self.request_url.url
    }

    /// The redirects that were followed, first to last.
    pub fn history(&self) -> &[RedirectHop] {
        &self.history
    }

    /// The version of HTTP it came in.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The connection of the response.
    pub fn connection(&self) -> &ConnectionInfo {
        self.body.connection()
    }

    /// The number of bytes of body still to come. None if it is unknown, as for a decoded body.
    pub fn content_length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The response itself, or an error if its status is 400 or above.
    ///
    /// # Errors
    ///
    /// One that [`is_status`](Error::is_status) and has the status.
    pub fn error_for_status(self) -> Result<Self> {
        let status = self.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(self.name(Error::new(Kind::Status(status)).sent(RequestSent::Yes)));
        }
        Ok(self)
    }

    /// The whole body.
    ///
    /// # Errors
    ///
    /// A body that breaks off, cannot be decoded, or is larger, decoded, than `max_body_size`; a
    /// passed deadline; a closed session.
    ///
    /// # Cancel safety
    ///
    /// Dropped, what was read is lost and the connection is closed, unless the rest has already
    /// arrived.
    pub async fn bytes(mut self) -> Result<Bytes> {
        /// Of the announced length, what is set aside before it has come.
        const TRUSTED: usize = 1 << 20;
        let limit = self.max_body_size;
        let announced = self.content_length().and_then(|length| usize::try_from(length).ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(self.too_large());
        }
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        // Small ones come in one piece, and most are known to end with it.
        let second = if self.body.is_end_stream() { None } else { self.chunk().await? };
        let Some(second) = second else {
            return if first.len() > limit { Err(self.too_large()) } else { Ok(first) };
        };
        let mut whole = BytesMut::with_capacity(announced.unwrap_or(0).min(TRUSTED).max(first.len() + second.len()));
        let mut next = Some(second);
        whole.extend_from_slice(&first);
        while let Some(chunk) = next {
            if whole.len() + chunk.len() > limit {
                return Err(self.too_large());
            }
            whole.extend_from_slice(&chunk);
            next = self.chunk().await?;
        }
        Ok(whole.freeze())
    }

    /// The whole body as text, in the charset that its `Content-Type` names; UTF-8 if it names
    /// none, or none that is known. What is malformed becomes U+FFFD. A byte order mark is
    /// worth more than the header, as the Encoding standard has it, and is left out.
    ///
    /// Without the cargo feature `charset` it is UTF-8 whatever the header says.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes).
    ///
    /// # Cancel safety
    ///
    /// As [`bytes`](Self::bytes).
    pub async fn text(self) -> Result<String> {
        let charset = Charset::of(self.headers()).unwrap_or(Charset::UTF_8);
        Ok(charset.decode(self.bytes().await?))
    }

    /// [`text`](Self::text), in this charset where the `Content-Type` names none. For a server that
    /// is known not to speak UTF-8, and does not say so.
    ///
    /// ```no_run
    /// # async fn run(session: trunkline::Session) -> trunkline::Result<()> {
    /// let page = session.get("https://example.com/1998.html").await?.text_with_charset("windows-1252").await?;
    /// # let _ = page;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and a charset that is not one of the Encoding standard's labels.
    ///
    /// # Cancel safety
    ///
    /// As [`bytes`](Self::bytes).
    #[cfg(feature = "charset")]
    pub async fn text_with_charset(self, charset: &str) -> Result<String> {
        let unknown = || {
            let detail = format!(
                "the charset {charset:?} is unknown: give a label of the Encoding standard, such as \"windows-1252\""
            );
            self.name(Error::input(detail).sent(RequestSent::Yes))
        };
        let assumed = Charset::named(charset).ok_or_else(unknown)?;
        let charset = Charset::of(self.headers()).unwrap_or(assumed);
        Ok(charset.decode(self.bytes().await?))
    }

    /// The whole body as JSON, whatever its `Content-Type`: UTF-8 (RFC 8259 section 8.1), a byte
    /// order mark before it is passed over.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and a body that is not the JSON that `T` is made of.
    ///
    /// # Cancel safety
    ///
    /// As [`bytes`](Self::bytes).
    pub async fn json<T: DeserializeOwned>(self) -> Result<T> {
        let (method, request_url) = (self.method.clone(), self.request_url.clone());
        let bytes = self.bytes().await?;
        serde_json::from_slice(without_bom(&bytes)).map_err(|error| {
            let detail = format!("not the JSON that was expected: {}", without_values(&error));
            Error::new(Kind::Body).at(Phase::Body).sent(RequestSent::Yes).detail(detail).of(&method, &request_url.url)
        })
    }

    /// The next piece of the body, as it comes; `None` at its end.
    ///
    /// ```no_run
    /// # async fn run(session: trunkline::Session) -> trunkline::Result<()> {
    /// let mut response = session.get("https://example.com/large").await?;
    /// let mut size = 0;
    /// while let Some(chunk) = response.chunk().await? {
    ///     size += chunk.len();
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A body that breaks off or cannot be decoded, a passed deadline, a closed session.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: call it again.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.body.frame().await {
            match frame {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Err(error) => return Err(self.name(error)),
            }
        }
        Ok(None)
    }

    /// The body alone, decoded, to be read as an [`http_body::Body`].
    pub fn into_body(self) -> DecodedBody {
        self.body
    }

    fn too_large(&self) -> Error {
        let detail = format!("larger than max_body_size, which is {} bytes", self.max_body_size);
        self.name(Error::new(Kind::Body).at(Phase::Body).sent(RequestSent::Yes).detail(detail))
    }

    pub(super) fn name(&self, error: Error) -> Error {
        error.of(&self.method, &self.request_url.url)
    }
}

/// The error of serde without the values that it quotes, which may be secrets. Names of missing
/// fields stay: they are the program's own. Texts of the type's own `Deserialize` are left out too.
fn without_values(error: &serde_json::Error) -> String {
    const KNOWN: [&str; 7] = [
        "invalid type",
        "invalid value",
        "invalid length",
        "unknown variant",
        "unknown field",
        "duplicate field",
        "data did not match any variant of untagged enum",
    ];
    let text = error.to_string();
    let told = if error.is_syntax() || error.is_eof() || text.starts_with("missing field `") {
        text.split(" at line").next().unwrap_or_default()
    } else {
        KNOWN.into_iter().find(|known| text.starts_with(known)).unwrap_or("unusable value")
    };
    format!("{told} at line {} column {}", error.line(), error.column())
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status())
            .field("url", &crate::redact::redact_url(&self.request_url.url).as_str())
            .field("history", &self.history.len())
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// Its [`ConnectionInfo`] and its [`ResponseHistory`] become extensions.
impl From<Response> for http::Response<DecodedBody> {
    fn from(response: Response) -> Self {
        let Response { mut head, body, request_url, history, .. } = response;
        head.extensions.insert(*body.connection());
        head.extensions.insert(ResponseHistory { request_url, history: history.into() });
        Self::from_parts(head, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_json_is_told_without_its_values() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only read into")]
        struct Token {
            expires: u32,
        }
        for (json, told) in [
            (r#"{"expires": "se-cret"}"#, "invalid type at line 1"),
            (r#"{"se-cret": 1}"#, "unknown field at line 1"),
            ("{}", "missing field `expires` at line 1"),
            ("<html>", "expected value at line 1"),
        ] {
            let text = without_values(&serde_json::from_str::<Token>(json).unwrap_err());
            assert!(text.starts_with(told) && !text.contains("se-cret"), "{text}");
        }
    }

    #[test]
    fn what_a_type_says_itself_of_json_is_not_told() {
        #[derive(Debug)]
        struct Token;

        impl<'de> serde::Deserialize<'de> for Token {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                Err(serde::de::Error::custom(format!("{text} is no token")))
            }
        }
        let text = without_values(&serde_json::from_str::<Token>(r#""se-cret""#).unwrap_err());
        assert!(text.starts_with("unusable value at line"), "{text}");
    }
}
