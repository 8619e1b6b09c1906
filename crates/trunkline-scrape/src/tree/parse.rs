//! Bytes → text → tree, within the limits.

use encoding_rs::Encoding;
use html5ever::interface::TokenizerResult;
use html5ever::tendril::{StrTendril, TendrilSink as _};
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, parse_document};
use http::HeaderMap;
use scraper::Html;

use super::charset::Charset;
use super::limits::{Limits, Tags};
use super::sink::{Owners, Sink};
use crate::error::Result;

pub(crate) struct Parsed {
    pub(crate) html: Html,
    pub(crate) owners: Owners,
    pub(crate) encoding: &'static Encoding,
}

/// The size of a piece of input. The limits are checked between pieces, so a page may exceed them
/// by one.
const PIECE: usize = 1024;

/// The tree of a page.
pub(crate) fn parse(headers: &HeaderMap, body: &[u8], limits: Limits) -> Result<Parsed> {
    let mut charset = Charset::of(headers, body);
    loop {
        match attempt(charset, &charset.decode(body), limits)? {
            Attempt::Parsed(html, owners) => return Ok(Parsed { html, owners, encoding: charset.encoding }),
            // "Changing the encoding while parsing": from the beginning, and this time for certain.
            Attempt::Changed(to) => charset = to,
        }
    }
}

enum Attempt {
    Parsed(Html, Owners),
    Changed(Charset),
}

fn attempt(mut charset: Charset, text: &str, limits: Limits) -> Result<Attempt> {
    let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let parser = parse_document(Sink::new(limits), ParseOpts { tree_builder, ..ParseOpts::default() });
    let mut tags = Tags::default();
    for piece in pieces(text) {
        parser.input_buffer.push_back(StrTendril::from(piece));
        loop {
            match parser.tokenizer.feed(&parser.input_buffer) {
                TokenizerResult::Done => break,
                // It is not run.
                TokenizerResult::Script(_) => {}
                TokenizerResult::EncodingIndicator(label) => {
                    let Some(changed) = charset.changed(&label) else { continue };
                    if changed.encoding != charset.encoding {
                        return Ok(Attempt::Changed(changed));
                    }
                    charset = changed;
                }
            }
        }
        let sink = &parser.tokenizer.sink.sink;
        let attributes = tags.read(piece);
        sink.meter.check(piece.len(), if sink.was_busy() { 0 } else { attributes })?;
    }
    let (html, owners) = parser.finish();
    Ok(Attempt::Parsed(html, owners))
}

/// The text in pieces of about this size, between characters.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let end = (0..=PIECE.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
        let (piece, rest) = text.split_at(end.unwrap_or_default());
        text = rest;
        Some(piece).filter(|piece| !piece.is_empty())
    })
}
