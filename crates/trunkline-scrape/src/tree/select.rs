//! CSS selectors.

use ego_tree::NodeId;
use scraper::{ElementRef, Html, Selector};

use crate::error::{Error, Result};

pub(crate) fn parsed(selector: &str) -> Result<Selector> {
    Selector::parse(selector).map_err(|error| Error::input(format!("{selector:?} is no CSS selector: {error}")))
}

pub(crate) fn matches(tree: &Html, node: NodeId, selector: &Selector) -> bool {
    let element = tree.tree.get(node).and_then(ElementRef::wrap);
    element.is_some_and(|element| selector.matches(&element))
}

/// Its text, white space collapsed.
pub(crate) fn text(element: ElementRef<'_>) -> String {
    collapsed(&element.text().collect::<String>())
}

/// The text with one space for each run of white space, and none around it.
pub(crate) fn collapsed(text: &str) -> String {
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    words.join(" ")
}
