//! Controls of a form, as data.

use ego_tree::NodeId;

use super::input::InputType;
use super::upload::Upload;

/// A form's element that can have a say in what is sent.
#[derive(Clone)]
pub(super) struct Control {
    pub(super) node: NodeId,
    pub(super) id: Option<String>,
    /// Empty for one that has none, which is never sent.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// By itself or by a fieldset around it.
    pub(super) disabled: bool,
    pub(super) dirname: Option<Dirname>,
}

#[derive(Clone)]
pub(super) enum Kind {
    /// Hidden ones too.
    Input(InputType, String),
    /// `columns`: where its lines are broken when it is sent.
    Textarea {
        value: String,
        columns: Option<usize>,
    },
    Checkbox(Tick),
    Radio(Tick),
    /// `menu`: it shows one option, so one is always chosen.
    Select {
        multiple: bool,
        menu: bool,
        options: Vec<Choice>,
    },
    File {
        multiple: bool,
        chosen: Vec<Upload>,
    },
    Submit(Button),
    Image(Button),
    /// Buttons that send nothing.
    Idle,
}

#[derive(Clone)]
pub(super) struct Tick {
    pub(super) value: String,
    pub(super) on: bool,
}

/// An `<option>`.
#[derive(Clone)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) disabled: bool,
    pub(super) selected: bool,
}

/// A button that submits, and what it says of how.
#[derive(Clone)]
pub(super) struct Button {
    pub(super) value: String,
    /// Boxed: few have any.
    pub(super) instead: Box<Sending>,
}

/// The submission attributes of a form, or those of its button instead.
#[derive(Clone, Default)]
pub(super) struct Sending {
    pub(super) action: Option<String>,
    pub(super) method: Option<String>,
    pub(super) enctype: Option<String>,
}

/// That the direction of a field's text is to be sent too.
#[derive(Clone)]
pub(super) struct Dirname {
    pub(super) name: String,
    pub(super) direction: Direction,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Direction {
    Ltr,
    Rtl,
    /// That of its first letter with one.
    Auto,
}

impl Control {
    /// As the page would call it, `text` for instance.
    pub(super) fn type_name(&self) -> &'static str {
        match &self.kind {
            Kind::Input(input, _) => input.name(),
            Kind::Textarea { .. } => "textarea",
            Kind::Checkbox(_) => "checkbox",
            Kind::Radio(_) => "radio",
            Kind::Select { multiple: false, .. } => "select",
            Kind::Select { multiple: true, .. } => "select multiple",
            Kind::File { .. } => "file",
            Kind::Submit(_) => "submit",
            Kind::Image(_) => "image",
            Kind::Idle => "button",
        }
    }

    pub(super) fn is_button(&self) -> bool {
        matches!(self.kind, Kind::Submit(_) | Kind::Image(_) | Kind::Idle)
    }

    /// The submission attributes of a submit button.
    pub(super) fn submits(&self) -> Option<&Button> {
        match &self.kind {
            Kind::Submit(button) | Kind::Image(button) => Some(button),
            _ => None,
        }
    }

    pub(super) fn is_hidden(&self) -> bool {
        matches!(self.kind, Kind::Input(InputType::Hidden, _))
    }

    pub(super) fn is_password(&self) -> bool {
        matches!(self.kind, Kind::Input(InputType::Password, _))
    }
}
