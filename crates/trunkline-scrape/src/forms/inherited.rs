//! Inherited properties of an element: disabled, hidden, direction.

use ego_tree::NodeId;
use html5ever::ns;
use scraper::ElementRef;

use super::direction::Directions;

/// The properties that an element passes on to its children.
#[derive(Clone, Copy, Default)]
pub(super) struct Inherited {
    pub(super) form: Option<NodeId>,
    /// In a disabled fieldset, and not in the first legend of it.
    pub(super) disabled: bool,
    /// For a disabled fieldset until its first legend: true if the controls in that legend are
    /// disabled by an outer fieldset.
    legend: Option<bool>,
    pub(super) direction: Directions,
    /// The select that options belong to, by its place among what was found.
    pub(super) select: Option<usize>,
    /// True in a disabled group of options.
    pub(super) optgroup: Option<bool>,
}

impl Inherited {
    /// The same for what is in this element.
    pub(super) fn inside(&mut self, element: ElementRef<'_>) -> Self {
        let mut inside = Self { legend: None, ..*self };
        if element.value().name.ns != ns!(html) {
            return inside;
        }
        let disabled = element.attr("disabled").is_some();
        inside.direction = self.direction.inside(element);
        match element.value().name() {
            "form" => inside.form = Some(element.id()),
            "fieldset" if disabled => {
                inside.legend = Some(self.disabled);
                inside.disabled = true;
            }
            // The first legend of a disabled fieldset is spared.
            "legend" => inside.disabled = self.legend.take().unwrap_or(self.disabled),
            "optgroup" if self.optgroup.is_none() => inside.optgroup = Some(disabled),
            // The standard's "option element nearest ancestor select": what is in these has none.
            "optgroup" | "option" | "datalist" | "hr" => inside.select = None,
            "select" => inside.optgroup = None,
            _ => {}
        }
        inside
    }
}
