//! The elements of a page in their order, but for those that are only templates of others.

use ego_tree::iter::Edge;
use html5ever::ns;
use scraper::{ElementRef, Html};

pub(crate) enum WalkEvent<'a> {
    Enter(ElementRef<'a>),
    Leave,
}

/// Into each element and out of it again.
pub(crate) fn walk(html: &Html) -> impl Iterator<Item = WalkEvent<'_>> {
    let mut templates = 0_usize;
    html.tree.root().traverse().filter_map(move |edge| {
        let (node, enter) = match edge {
            Edge::Open(node) => (node, true),
            Edge::Close(node) => (node, false),
        };
        if node.value().is_fragment() {
            templates = if enter { templates + 1 } else { templates - 1 };
        }
        let element = ElementRef::wrap(node).filter(|_| templates == 0)?;
        Some(if enter { WalkEvent::Enter(element) } else { WalkEvent::Leave })
    })
}

/// Those of HTML.
pub(super) fn elements(html: &Html) -> impl Iterator<Item = ElementRef<'_>> {
    walk(html).filter_map(|step| match step {
        WalkEvent::Enter(element) if element.value().name.ns == ns!(html) => Some(element),
        _ => None,
    })
}
