//! Limits of a page. A hostile page costs no more than an honest one of the same size.

use std::cell::{Cell, RefCell};

use crate::error::{Error, Result};

/// The limits of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// In bytes, as they are after decompression.
    pub(crate) size: usize,
    /// Elements, attributes, texts and comments.
    pub(crate) nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: 10 << 20, nodes: 500_000 }
    }
}

/// As deep as Chromium lets elements nest. Behind it, it hangs them up elsewhere.
pub(crate) const DEPTH: u32 = 512;

/// Far beyond real pages; each attribute is compared with all before it.
const ATTRIBUTES: u32 = 1_000;

/// The parser looks at so many open elements for each byte at most. (A real page needs less than
/// one.) Some markup has it look at all of them for each tag.
const LOOKS_PER_BYTE: usize = 16;
const LOOKS: usize = 10_000_000;

impl Limits {
    pub(crate) fn check_size(self, size: usize) -> Result<()> {
        if size <= self.size {
            return Ok(());
        }
        Err(Error::page(format!("the page is larger than {} bytes (max_size)", self.size)))
    }
}

/// The size of the tree so far.
#[derive(Default)]
pub(super) struct Meter {
    limits: Limits,
    bytes: Cell<usize>,
    nodes: Cell<usize>,
    looks: Cell<usize>,
    /// Added to elements that were there.
    added: Cell<usize>,
    /// The first thing that was too much.
    fault: RefCell<Option<String>>,
}

impl Meter {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub(super) fn node(&self, attributes: usize) {
        self.nodes.set(self.nodes.get() + 1 + attributes);
        if self.nodes.get() > self.limits.nodes {
            self.refuse(|limits| {
                format!("the page has more than {} elements, attributes and texts (max_nodes)", limits.nodes)
            });
        }
    }

    /// Another `<html>` or `<body>` adds to the attributes of the first: each finds its place among
    /// all before it.
    pub(super) fn added(&self, attributes: usize) {
        self.node(attributes);
        self.added.set(self.added.get() + attributes);
        if self.added.get() > ATTRIBUTES as usize {
            self.refuse_attributes();
        }
    }

    pub(super) fn depth(&self, depth: u32) {
        if depth > DEPTH {
            self.refuse(|_| format!("the page nests more than {DEPTH} elements"));
        }
    }

    /// The parser looks at an open element.
    pub(super) fn look(&self) {
        self.looks.set(self.looks.get() + 1);
    }

    /// Counts parsed bytes. Fails beyond a limit.
    pub(super) fn check(&self, bytes: usize, attributes: u32) -> Result<()> {
        self.bytes.set(self.bytes.get() + bytes);
        if self.looks.get() > LOOKS + self.bytes.get() * LOOKS_PER_BYTE {
            self.refuse(|_| "the page's tags are so misnested that it cannot be parsed in good time".to_owned());
        }
        if attributes > ATTRIBUTES {
            self.refuse_attributes();
        }
        match self.fault.take() {
            Some(fault) => Err(Error::page(fault)),
            None => Ok(()),
        }
    }

    fn refuse_attributes(&self) {
        self.refuse(|_| format!("the page has a tag with more than {ATTRIBUTES} attributes"));
    }

    fn refuse(&self, why: impl FnOnce(Limits) -> String) {
        self.fault.borrow_mut().get_or_insert_with(|| why(self.limits));
    }
}

/// Counts the attributes of the tag being read; the parser reports a tag only when it is complete.
///
/// It knows tags and quotes, and nothing of comments and scripts: what it makes of those counts
/// only while the parser itself shows nothing.
#[derive(Default)]
pub(super) struct Tags {
    state: TagState,
    attributes: u32,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum TagState {
    #[default]
    Outside,
    Opening,
    Inside,
    /// Behind an `=`.
    Equals,
    Quoted(u8),
}

impl Tags {
    /// The attributes of the tag that `text` ends in or, of those that end in it, has the most.
    pub(super) fn read(&mut self, text: &str) -> u32 {
        let mut most = 0;
        for byte in text.bytes() {
            self.state = match (self.state, byte) {
                (TagState::Outside, b'<') => TagState::Opening,
                (TagState::Outside, _) => TagState::Outside,
                (TagState::Opening, b'a'..=b'z' | b'A'..=b'Z' | b'/') => {
                    self.attributes = 0;
                    TagState::Inside
                }
                (TagState::Opening, _) => TagState::Outside,
                (TagState::Quoted(quote), _) if byte != quote => TagState::Quoted(quote),
                (TagState::Equals, b'"' | b'\'') => TagState::Quoted(byte),
                (TagState::Equals, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c') => TagState::Equals,
                (TagState::Inside | TagState::Equals, b'>') => TagState::Outside,
                (TagState::Inside, b'=') => TagState::Equals,
                (TagState::Inside, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'/') | (TagState::Quoted(_), _) => {
                    self.attributes += 1;
                    TagState::Inside
                }
                (TagState::Inside | TagState::Equals, _) => TagState::Inside,
            };
            most = most.max(self.attributes);
        }
        most
    }
}
