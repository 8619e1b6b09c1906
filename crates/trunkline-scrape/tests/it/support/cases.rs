//! The corpus: pages, and how their forms are filled in and sent.

use std::collections::HashMap;
use std::path::PathBuf;

use http::header::{CONTENT_TYPE, REFERRER_POLICY};
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;

/// One line of `corpus/cases.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The rule it shows.
    pub(crate) rule: String,
    /// The name of its page, without `.html`.
    pub(crate) page: String,
    /// The path of the page.
    #[serde(default = "root")]
    pub(crate) path: String,
    /// Its `Content-Type`.
    #[serde(rename = "type", default = "html")]
    pub(crate) content_type: String,
    /// Its `Referrer-Policy`.
    pub(crate) policy: Option<String>,
    /// The form's selector.
    #[serde(default = "form")]
    pub(crate) form: String,
    #[serde(default)]
    pub(crate) fill: Vec<(String, Given)>,
    /// Files by the field's name.
    #[serde(default)]
    pub(crate) files: Vec<(String, Vec<String>)>,
    /// The id of a button, `enter` for the key, or `none`.
    #[serde(default = "none")]
    pub(crate) press: String,
    /// The clicked point of an image: its middle, where a driven browser clicks.
    pub(crate) at: Option<(u32, u32)>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Given {
    Tick(bool),
    Text(String),
    Texts(Vec<String>),
}

fn root() -> String {
    "/page".to_owned()
}

fn html() -> String {
    "text/html".to_owned()
}

fn form() -> String {
    "form:not(template form)".to_owned()
}

fn none() -> String {
    "none".to_owned()
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

pub(crate) fn all() -> Vec<Case> {
    let list = std::fs::read(folder().join("cases.json")).unwrap();
    serde_json::from_slice(&list).unwrap()
}

/// Every page there is, by its name.
pub(crate) fn pages() -> HashMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let pages = files.filter(|path| path.extension().is_some_and(|extension| extension == "html"));
    pages.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

impl Case {
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(&self.content_type).unwrap());
        if let Some(policy) = &self.policy {
            headers.insert(REFERRER_POLICY, HeaderValue::from_str(policy).unwrap());
        }
        headers
    }

    /// The page, with the port of the server that it sends to.
    pub(crate) fn html(&self, pages: &HashMap<String, Vec<u8>>, port: u16) -> Vec<u8> {
        let page = &pages[&self.page];
        let mut html = Vec::new();
        let mut rest = &page[..];
        while let Some(at) = rest.windows(4).position(|window| window == b"PORT") {
            html.extend_from_slice(&rest[..at]);
            html.extend_from_slice(port.to_string().as_bytes());
            rest = &rest[at + 4..];
        }
        html.extend_from_slice(rest);
        html
    }
}
