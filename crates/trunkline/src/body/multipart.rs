//! `multipart/form-data` (RFC 7578), encoded as browsers do: the HTML standard's
//! "multipart/form-data encoding algorithm".

use std::collections::VecDeque;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap};
use http_body::{Body as _, Frame, SizeHint};

use super::source::{KnownError, Measuring, Piece, Source};
use super::stream::Streamed;
use super::{Body, NotReplayable, Part};
use crate::error::{Error, Kind, Result};

/// A form with files: a body of named parts, for
/// [`RequestBuilder::multipart`](crate::RequestBuilder::multipart).
///
/// It is sent as it comes, in the order in which the parts were added. Its length is announced if
/// that of each part is known (text, bytes, files); it can be sent again if each part can. Names
/// and file names are escaped as browsers do, and are otherwise sent as UTF-8. An empty
/// form is a valid one.
///
/// ```no_run
/// # async fn run(session: trunkline::Session) -> trunkline::Result<()> {
/// use trunkline::{Multipart, Part};
///
/// let form = Multipart::new()
///     .text("title", "Holidays")
///     .file("photo", "photos/IMG_0001.jpg")
///     .part("notes", Part::bytes("…").file_name("notes.txt").content_type("text/plain"));
/// session.post("https://example.com/albums").multipart(form).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "a form is sent with the request it is given to"]
pub struct Multipart {
    parts: Vec<(String, Part)>,
}

impl Multipart {
    /// With no part yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A field with text.
    pub fn text(self, name: impl Into<String>, value: impl AsRef<str>) -> Self {
        self.part(name, Part::text(value))
    }

    /// A file, under its own name; see [`Part::file`].
    pub fn file(self, name: impl Into<String>, path: impl AsRef<Path>) -> Self {
        self.part(name, Part::file(path))
    }

    /// Any part.
    pub fn part(mut self, name: impl Into<String>, part: Part) -> Self {
        self.parts.push((name.into(), part));
        self
    }

    /// The body, and the boundary between its parts.
    pub(crate) fn encode(self) -> Result<(Body, String)> {
        let boundary = boundary()?;
        Ok((self.encode_with(&boundary)?, boundary))
    }

    fn encode_with(self, boundary: &str) -> Result<Body> {
        let mut joined = Segments::default();
        let mut text = BytesMut::new();
        for (name, part) in self.parts {
            let Part { body, file_name, headers } = part;
            head(&mut text, boundary, &name, file_name.as_deref(), &headers?);
            joined.push(None, Body::from(text.split().freeze()));
            joined.push(Some(name.into()), body);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        joined.push(None, Body::from(text.freeze()));
        Ok(Body::from(joined))
    }
}

/// 128 random bits: the author of the content cannot know the boundary, and a collision by chance
/// is out of the question. (Streamed content cannot be searched for it.)
fn boundary() -> Result<String> {
    let mut random = [0; 16];
    getrandom::getrandom(&mut random).map_err(|error| {
        Error::input("the system has no random numbers for a multipart boundary").because(error.to_string())
    })?;
    Ok(format!("trunkline-{:032x}", u128::from_ne_bytes(random)))
}

/// The head of a part.
fn head(to: &mut BytesMut, boundary: &str, name: &str, file_name: Option<&str>, headers: &HeaderMap) {
    let mut put = |text: &str| to.extend_from_slice(text.as_bytes());
    put(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", escaped(&with_crlf(name))));
    if let Some(file_name) = file_name {
        put(&format!("; filename=\"{}\"", escaped(file_name)));
        if !headers.contains_key(CONTENT_TYPE) {
            put("\r\nContent-Type: application/octet-stream");
        }
    }
    for (name, value) in headers {
        // Not every server knows that this is the same in small letters.
        let name = if *name == CONTENT_TYPE { "Content-Type" } else { name.as_str() };
        to.extend_from_slice(format!("\r\n{name}: ").as_bytes());
        to.extend_from_slice(value.as_bytes());
    }
    to.extend_from_slice(b"\r\n\r\n");
}

/// "Replace every occurrence of U+000D (CR) not followed by U+000A (LF), and every occurrence of
/// U+000A (LF) not preceded by U+000D (CR), by a string consisting of a U+000D (CR) and U+000A
/// (LF)." File names are left as they are.
pub(super) fn with_crlf(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\r', '\n']) {
        normal.push_str(&rest[..at]);
        normal.push_str("\r\n");
        rest = rest[at..].strip_prefix("\r\n").unwrap_or(&rest[at + 1..]);
    }
    normal.push_str(rest);
    normal
}

/// These three, and "the user agent must not perform any other escapes".
fn escaped(name: &str) -> String {
    name.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22")
}

/// Bodies one after the other.
struct Joined(Streamed<Segments>);

#[derive(Default)]
struct Segments(VecDeque<Segment>);

struct Segment {
    /// Of the part whose content this is.
    name: Option<Arc<str>>,
    body: Body,
}

impl Segments {
    fn push(&mut self, name: Option<Arc<str>>, body: Body) {
        self.0.push_back(Segment { name, body });
    }
}

impl From<Segments> for Body {
    fn from(segments: Segments) -> Self {
        Self::from(Box::new(Joined(Streamed::new(segments, "multipart body"))))
    }
}

impl http_body::Body for Segments {
    type Data = Bytes;
    type Error = KnownError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, KnownError>>> {
        while let Some(Segment { name, body }) = self.0.front_mut() {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => {
                    if body.is_end_stream() {
                        self.0.pop_front();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                // Between other parts there is no room for trailers.
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let part = name.as_deref().unwrap_or_default();
                    let detail = format!("the part {part:?} of the multipart body failed");
                    return Poll::Ready(Some(Err(KnownError(Error::new(Kind::Body).detail(detail).because(error)))));
                }
                None => {
                    self.0.pop_front();
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let mut known = self.0.iter().map(|segment| segment.body.size_hint().exact());
        let sum = known.try_fold(0, |sum: u64, length| sum.checked_add(length?));
        sum.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Source for Joined {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        self.0.poll_piece(cx)
    }

    fn has_ended(&self) -> bool {
        self.0.has_ended()
    }

    fn length(&self) -> SizeHint {
        self.0.length()
    }

    fn announce(&mut self, length: u64) {
        self.0.announce(length);
    }

    fn again(&self) -> Result<Body, NotReplayable> {
        let mut again = Segments::default();
        for Segment { name, body } in &self.0.pieces().0 {
            let body = body.again().map_err(|once| once.within(name.as_deref().unwrap_or_default()))?;
            again.push(name.clone(), body);
        }
        let mut again = Body::from(again);
        // One that was given by hand is known to no part.
        if let Some(length) = self.0.announced() {
            again.announce(length);
        }
        Ok(again)
    }

    fn is_to_be_measured(&self) -> bool {
        self.0.pieces().0.iter().any(|segment| segment.body.is_to_be_measured())
    }

    fn measure(&mut self) -> Measuring<'_> {
        Box::pin(async {
            let segments = self.0.pieces_mut();
            for segment in &mut segments.0 {
                if segment.body.is_to_be_measured() {
                    Box::pin(segment.body.measure()).await?;
                }
            }
            if let Some(length) = segments.size_hint().exact() {
                self.0.announce(length);
            }
            Ok(())
        })
    }

    fn what(&self) -> &'static str {
        self.0.what()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    async fn encoded(form: Multipart) -> String {
        let body = form.encode_with("B").unwrap();
        let announced = http_body::Body::size_hint(&body).exact();
        let bytes = body.collect().await.unwrap().to_bytes();
        assert!(announced.is_none_or(|length| length == bytes.len() as u64));
        String::from_utf8(bytes.into()).unwrap()
    }

    #[tokio::test]
    async fn a_form_is_what_a_browser_sends() {
        let form = Multipart::new()
            .text("title", "a\nb\r\nc\rd")
            .part("notes", Part::bytes("a\nb").file_name("n.txt").content_type("text/plain"))
            .part("blob", Part::bytes("").file_name(""))
            .part("raw", Part::bytes("a\nb").header("x-own", "yes"));
        let expected = "--B\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\na\r\nb\r\nc\r\nd\r\n\
            --B\r\nContent-Disposition: form-data; name=\"notes\"; filename=\"n.txt\"\r\nContent-Type: text/plain\r\n\r\na\nb\r\n\
            --B\r\nContent-Disposition: form-data; name=\"blob\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n\
            --B\r\nContent-Disposition: form-data; name=\"raw\"\r\nx-own: yes\r\n\r\na\nb\r\n\
            --B--\r\n";
        assert_eq!(encoded(form).await, expected);
        assert_eq!(encoded(Multipart::new()).await, "--B--\r\n");
    }

    #[tokio::test]
    async fn names_are_escaped_as_in_a_browser_and_else_left_alone() {
        for (name, written) in [
            ("a\"b", "a%22b"),
            ("a\nb", "a%0D%0Ab"),
            ("a\rb\r\nc", "a%0D%0Ab%0D%0Ac"),
            ("100%22 \\ ; å", "100%22 \\ ; å"),
            ("", ""),
        ] {
            let text = encoded(Multipart::new().text(name, "")).await;
            assert!(text.contains(&format!("; name=\"{written}\"\r\n")), "{text}");
        }
        for (name, written) in [("a\"b\n.txt", "a%22b%0A.txt"), ("a\rb\r\n", "a%0Db%0D%0A"), ("日本.txt", "日本.txt")]
        {
            let text = encoded(Multipart::new().part("f", Part::bytes("").file_name(name))).await;
            assert!(text.contains(&format!("; filename=\"{written}\"\r\n")), "{text}");
        }
    }

    #[tokio::test]
    async fn the_length_is_known_if_that_of_each_part_is() {
        let streamed = || Body::stream(stream::iter([Ok::<_, std::io::Error>("12345")]));
        let unknown = Multipart::new().text("a", "b").part("s", Part::new(streamed())).encode_with("B").unwrap();
        assert_eq!(unknown.size_hint().exact(), None);
        let known = Multipart::new().part("s", Part::new(streamed().with_length(5))).encode_with("B").unwrap();
        let length = known.size_hint().exact().unwrap();
        assert_eq!(known.collect().await.unwrap().to_bytes().len() as u64, length);
        let endless = || Part::new(streamed().with_length(u64::MAX));
        let beyond = Multipart::new().part("a", endless()).part("b", endless()).encode_with("B").unwrap();
        assert_eq!(beyond.size_hint().exact(), None, "no number has that many");
    }

    #[test]
    fn a_length_given_by_hand_holds_for_the_form_that_is_sent_again() {
        let made = Body::replayable(|| Body::stream(stream::iter([Ok::<_, std::io::Error>("12345")])));
        let mut form = Multipart::new().part("s", Part::new(made)).encode_with("B").unwrap();
        form.announce(70);
        assert_eq!(form.try_clone().unwrap().size_hint().exact(), Some(70));
    }

    #[test]
    fn boundaries_differ_and_are_made_of_what_needs_no_quotes() {
        let (one, two) = (boundary().unwrap(), boundary().unwrap());
        assert_ne!(one, two);
        // RFC 2046 section 5.1.1: up to 70 characters.
        assert!(one.len() < 70 && one.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{one}");
    }

    #[test]
    fn what_is_wrong_with_a_part_is_told_without_its_value() {
        let bad = |part: Part| Multipart::new().part("p", part).encode().unwrap_err().to_string();
        assert!(bad(Part::bytes("").content_type("a\nb")).contains("content-type"));
        assert!(bad(Part::bytes("").header("content-disposition", "x")).contains("file_name"));
        assert!(bad(Part::bytes("").header("bad name", "x")).contains("header's name"));
        let secret = bad(Part::bytes("").header("x-name", "sEcReT\n").header("y", "ok"));
        assert!(secret.contains("x-name") && !secret.contains("sEcReT"), "{secret}");
    }
}
