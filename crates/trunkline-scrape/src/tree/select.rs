//! CSS selectors.

use ego_tree::NodeId;
use ego_tree::iter::Edge;
use scraper::{ElementRef, Html, Node, Selector};

use crate::error::{Error, Result};

pub(crate) fn parsed(selector: &str) -> Result<Selector> {
    // The parser's own words speak to those who make parsers.
    let unusable =
        |_| Error::input(format!("{selector:?} is no CSS selector, as form.login or input[name=user] would be"));
    Selector::parse(selector).map_err(unusable)
}

pub(crate) fn matches(tree: &Html, node: NodeId, selector: &Selector) -> bool {
    let element = tree.tree.get(node).and_then(ElementRef::wrap);
    element.is_some_and(|element| selector.matches(&element))
}

/// Its text, white space collapsed.
pub(crate) fn text(element: ElementRef<'_>) -> String {
    text_without(element, &[])
}

/// The same without what is never shown.
pub(crate) fn visible(element: ElementRef<'_>) -> String {
    text_without(element, &["head", "script", "style", "template"])
}

/// The same without what stands in these elements.
pub(crate) fn text_without(element: ElementRef<'_>, left_out: &[&str]) -> String {
    let mut text = String::new();
    let mut inside = 0_usize;
    for edge in element.traverse() {
        let (node, enter) = match edge {
            Edge::Open(node) => (node, true),
            Edge::Close(node) => (node, false),
        };
        match node.value() {
            Node::Element(element) if left_out.contains(&element.name()) => {
                inside = if enter { inside + 1 } else { inside - 1 };
            }
            Node::Text(part) if enter && inside == 0 => text.push_str(part),
            _ => {}
        }
    }
    collapsed(&text)
}

/// The text with one space for each run of white space, and none around it.
pub(crate) fn collapsed(text: &str) -> String {
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    words.join(" ")
}
