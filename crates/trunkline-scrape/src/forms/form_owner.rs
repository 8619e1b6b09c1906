//! Form owner of a control (the HTML standard's "form owner").

use std::collections::HashMap;

use ego_tree::NodeId;
use scraper::ElementRef;

use crate::tree::Owners;

pub(super) struct FormOwners<'a> {
    /// The index of each form in the page.
    places: HashMap<NodeId, usize>,
    /// The first element of each id.
    ids: &'a HashMap<&'a str, NodeId>,
    /// The associations of the parser.
    parser: &'a Owners,
}

impl<'a> FormOwners<'a> {
    pub(super) fn new(forms: &[ElementRef<'_>], ids: &'a HashMap<&'a str, NodeId>, parser: &'a Owners) -> Self {
        let places = forms.iter().enumerate().map(|(place, form)| (form.id(), place)).collect();
        Self { places, ids, parser }
    }

    /// By its `form` attribute, and by nothing else if there is one; else as the parser had it;
    /// else by the form around it.
    pub(super) fn owner(&self, control: NodeId, names: Option<&str>, parent_form: Option<NodeId>) -> Option<usize> {
        let form = match names {
            Some(id) => self.ids.get(id).copied().filter(|_| !id.is_empty()),
            None => self.parser.get(&control).copied().or(parent_form),
        };
        self.places.get(&form?).copied()
    }
}
