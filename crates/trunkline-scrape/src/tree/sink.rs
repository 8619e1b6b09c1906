//! Tree sink for html5ever: scraper's tree, the parser's form owners, and the size so far.

use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell};
use std::collections::HashMap;

use ego_tree::NodeId;
use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::StrTendril;
use html5ever::{Attribute, QualName};
use scraper::{Html, HtmlTreeSink};

use super::limits::{Limits, Meter};

pub(super) struct Sink {
    tree: HtmlTreeSink,
    owners: RefCell<Owners>,
    depths: RefCell<HashMap<NodeId, u32>>,
    /// True if the parser added a node since the last check.
    busy: Cell<bool>,
    pub(super) meter: Meter,
}

/// The form that the parser associated a control with, whatever the tree looks like:
/// `<table><form><tr><td><input>` puts the input outside of its form.
pub(crate) type Owners = HashMap<NodeId, NodeId>;

impl Sink {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            tree: HtmlTreeSink::new(Html::new_document()),
            owners: RefCell::default(),
            depths: RefCell::default(),
            busy: Cell::new(false),
            meter: Meter::new(limits),
        }
    }

    /// True if the parser added a node since the last call.
    pub(super) fn was_busy(&self) -> bool {
        self.busy.take()
    }

    fn placed(&self, parent: &NodeId, child: &NodeOrText<NodeId>) {
        self.busy.set(true);
        match child {
            NodeOrText::AppendText(_) => self.meter.node(0),
            NodeOrText::AppendNode(child) => {
                let mut depths = self.depths.borrow_mut();
                let depth = depths.get(parent).copied().unwrap_or_default() + 1;
                depths.insert(*child, depth);
                self.meter.depth(depth);
            }
        }
    }
}

impl TreeSink for Sink {
    type Handle = NodeId;
    type Output = (Html, Owners);
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Self::Output {
        (self.tree.finish(), self.owners.into_inner())
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> NodeId {
        self.tree.get_document()
    }

    fn elem_name<'a>(&'a self, target: &'a NodeId) -> Ref<'a, QualName> {
        self.meter.look();
        self.tree.elem_name(target)
    }

    fn same_node(&self, one: &NodeId, other: &NodeId) -> bool {
        self.meter.look();
        one == other
    }

    fn create_element(&self, name: QualName, attrs: Vec<Attribute>, flags: ElementFlags) -> NodeId {
        self.busy.set(true);
        self.meter.node(attrs.len());
        self.tree.create_element(name, attrs, flags)
    }

    fn create_comment(&self, text: StrTendril) -> NodeId {
        self.meter.node(0);
        self.tree.create_comment(text)
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> NodeId {
        self.meter.node(0);
        self.tree.create_pi(target, data)
    }

    fn append_doctype_to_document(&self, name: StrTendril, public: StrTendril, system: StrTendril) {
        self.tree.append_doctype_to_document(name, public, system);
    }

    fn append(&self, parent: &NodeId, child: NodeOrText<NodeId>) {
        self.placed(parent, &child);
        self.tree.append(parent, child);
    }

    fn append_before_sibling(&self, sibling: &NodeId, child: NodeOrText<NodeId>) {
        // As deep as its sibling, or by one deeper: it makes no difference.
        self.placed(sibling, &child);
        self.tree.append_before_sibling(sibling, child);
    }

    fn append_based_on_parent_node(&self, element: &NodeId, previous: &NodeId, child: NodeOrText<NodeId>) {
        self.placed(element, &child);
        self.tree.append_based_on_parent_node(element, previous, child);
    }

    fn remove_from_parent(&self, target: &NodeId) {
        self.tree.remove_from_parent(target);
    }

    fn reparent_children(&self, node: &NodeId, new_parent: &NodeId) {
        self.tree.reparent_children(node, new_parent);
    }

    fn add_attrs_if_missing(&self, target: &NodeId, attrs: Vec<Attribute>) {
        self.busy.set(true);
        self.meter.added(attrs.len());
        self.tree.add_attrs_if_missing(target, attrs);
    }

    fn get_template_contents(&self, target: &NodeId) -> NodeId {
        let contents = self.tree.get_template_contents(target);
        let mut depths = self.depths.borrow_mut();
        let depth = depths.get(target).copied().unwrap_or_default();
        depths.insert(contents, depth);
        contents
    }

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.tree.set_quirks_mode(mode);
    }

    fn associate_with_form(&self, target: &NodeId, form: &NodeId, _: (&NodeId, Option<&NodeId>)) {
        self.owners.borrow_mut().insert(*target, *form);
    }
}
