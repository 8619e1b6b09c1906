//! `multipart/form-data`: trunkline's own in UTF-8, and here in the charsets of old, in which names
//! and file names are encoded too.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use encoding_rs::Encoding;
use http_body::{Frame, SizeHint};
use trunkline::{Body, Multipart, Part};

use super::encode::with_crlf;
use super::entries::{Content, Entry};
use super::upload::Upload;
use crate::error::{Error, Result};

pub(super) fn utf_8(entries: &[Entry]) -> Multipart {
    entries.iter().fold(Multipart::new(), |form, Entry { name, value }| match value {
        Content::Text(text) => form.text(name, text),
        Content::File(file) => {
            let part = Part::new(file.body()).file_name(&file.name);
            form.part(name, part.content_type(file.content_type.as_str()))
        }
    })
}

/// The body, and its `Content-Type`. Its length is announced if that of each file is known.
pub(super) fn legacy(entries: &[Entry], encoding: &'static Encoding) -> Result<(Body, String)> {
    let boundary = boundary()?;
    let mut pieces = Vec::new();
    let mut text = Vec::new();
    for Entry { name, value } in entries {
        put(&mut text, &[b"--", boundary.as_bytes(), b"\r\nContent-Disposition: form-data; name=\""]);
        put(&mut text, &[&escaped(&with_crlf(name), encoding), b"\""]);
        match value {
            Content::Text(value) => put(&mut text, &[b"\r\n\r\n", &encoding.encode(&with_crlf(value)).0]),
            Content::File(file) => {
                put(&mut text, &[b"; filename=\"", &escaped(&file.name, encoding), b"\"\r\nContent-Type: "]);
                put(&mut text, &[file.content_type.replace(['\r', '\n'], " ").as_bytes(), b"\r\n\r\n"]);
                pieces.push(Piece::Text(std::mem::take(&mut text).into()));
                pieces.push(Piece::File(file.clone()));
            }
        }
        put(&mut text, &[b"\r\n"]);
    }
    put(&mut text, &[b"--", boundary.as_bytes(), b"--\r\n"]);
    pieces.push(Piece::Text(text.into()));
    let body = Body::replayable(move || Body::wrap(Chain(pieces.iter().map(Piece::body).collect())));
    Ok((body, format!("multipart/form-data; boundary={boundary}")))
}

fn put(to: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        to.extend_from_slice(piece);
    }
}

/// 128 random bits: the author of the content cannot know the boundary.
fn boundary() -> Result<String> {
    let mut random = [0; 16];
    getrandom::getrandom(&mut random)
        .map_err(|error| Error::form(format!("the system has no random numbers for a multipart boundary: {error}")))?;
    Ok(format!("trunkline-{:032x}", u128::from_ne_bytes(random)))
}

/// These three, "and the user agent must not perform any other escapes".
fn escaped(name: &str, encoding: &'static Encoding) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(name.len());
    for &byte in encoding.encode(name).0.iter() {
        match byte {
            b'\r' => escaped.extend_from_slice(b"%0D"),
            b'\n' => escaped.extend_from_slice(b"%0A"),
            b'"' => escaped.extend_from_slice(b"%22"),
            byte => escaped.push(byte),
        }
    }
    escaped
}

enum Piece {
    Text(Bytes),
    File(Upload),
}

impl Piece {
    fn body(&self) -> Body {
        match self {
            Self::Text(bytes) => Body::from(bytes.clone()),
            Self::File(file) => file.body(),
        }
    }
}

/// Bodies one after the other.
struct Chain(VecDeque<Body>);

impl http_body::Body for Chain {
    type Data = Bytes;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        while let Some(body) = self.0.front_mut() {
            match ready!(Pin::new(body).poll_frame(cx)) {
                // Between other parts there is no room for trailers.
                Some(Ok(frame)) if !frame.is_data() => {}
                Some(frame) => return Poll::Ready(Some(frame)),
                None => drop(self.0.pop_front()),
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        let mut known = self.0.iter().map(|body| body.size_hint().exact());
        let sum = known.try_fold(0_u64, |sum, length| sum.checked_add(length?));
        sum.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
