//! One part of a multipart body.

use std::fmt;
use std::path::Path;

use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::Body;
use crate::error::{BoxError, Error, Result};

/// A part of a [`Multipart`](crate::Multipart) body: what it holds, and what is said about it.
///
/// ```
/// use trunkline::{Body, Part};
///
/// let photo = Part::file("photos/IMG_0001.jpg").content_type("image/jpeg");
/// let report = Part::bytes("a,b\n1,2\n").file_name("report.csv").content_type("text/csv");
/// let replayable = Part::new(Body::replayable(|| Body::from("made anew")));
/// # let _ = (photo, report, replayable);
/// ```
#[must_use = "a part is sent with the multipart body it is added to"]
pub struct Part {
    pub(super) body: Body,
    pub(super) file_name: Option<String>,
    /// The part's own headers, or the first thing that was wrong with them.
    pub(super) headers: Result<HeaderMap>,
}

impl Part {
    /// Any body.
    pub fn new(body: impl Into<Body>) -> Self {
        Self { body: body.into(), file_name: None, headers: Ok(HeaderMap::new()) }
    }

    /// Text, as a form's field holds it: its line ends become CR LF, as in a browser.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::new(super::multipart::with_crlf(text.as_ref()))
    }

    /// Bytes as they are.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new(bytes.into())
    }

    /// The file with this path, under its own name; see [`Body::file`].
    pub fn file(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self { file_name: Some(name.unwrap_or_default()), ..Self::new(Body::file(path)) }
    }

    /// A part with the items of a stream; see [`Body::stream`]. With such a part the whole body is
    /// sent in chunks and cannot be sent again. Use [`Body::with_length`] and [`Body::replayable`]
    /// where that matters.
    pub fn stream<S, T, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<T, E>> + Send + 'static,
        T: Into<Bytes>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self::new(Body::stream(stream))
    }

    /// Makes it a file with this name, which need not exist here.
    pub fn file_name(self, name: impl Into<String>) -> Self {
        Self { file_name: Some(name.into()), ..self }
    }

    /// Its `Content-Type`. Default: `application/octet-stream` for what has a file name, and none
    /// for what has not, as HTML has it. It is not guessed from the name.
    pub fn content_type<V>(self, value: V) -> Self
    where
        V: TryInto<HeaderValue>,
        V::Error: Into<BoxError>,
    {
        self.set(CONTENT_TYPE, value)
    }

    /// A further header. RFC 7578 section 4.8 tells servers to ignore all but `Content-Type`, so
    /// this is for those who know theirs.
    pub fn header<K, V>(mut self, name: K, value: V) -> Self
    where
        K: TryInto<HeaderName>,
        K::Error: Into<BoxError>,
        V: TryInto<HeaderValue>,
        V::Error: Into<BoxError>,
    {
        let name = name.try_into().map_err(|error| {
            Error::input("a header's name is made of letters, digits and -_.!#$%&'*+^`|~").because(error)
        });
        match name {
            Ok(name) if name == CONTENT_DISPOSITION => {
                self.fail(Error::input(
                    "the content-disposition of a part is made of its name and its file_name: set those",
                ));
                self
            }
            Ok(name) => self.set(name, value),
            Err(error) => {
                self.fail(error);
                self
            }
        }
    }

    fn set<V>(mut self, name: HeaderName, value: V) -> Self
    where
        V: TryInto<HeaderValue>,
        V::Error: Into<BoxError>,
    {
        match (&mut self.headers, value.try_into()) {
            (Ok(headers), Ok(value)) => {
                headers.insert(name, value);
            }
            (Ok(_), Err(error)) => {
                let what = format!("the value of a part's {name} has a character that a header cannot hold");
                self.fail(Error::input(what).because(error));
            }
            (Err(_), _) => {}
        }
        self
    }

    fn fail(&mut self, error: Error) {
        if self.headers.is_ok() {
            self.headers = Err(error);
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { body, file_name, headers: _ } = self;
        f.debug_struct("Part").field("body", body).field("file_name", file_name).finish_non_exhaustive()
    }
}
