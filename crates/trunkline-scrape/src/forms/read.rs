//! A page's elements → its forms.

use std::collections::HashMap;
use std::sync::Arc;

use ego_tree::NodeId;
use html5ever::ns;
use scraper::ElementRef;

use super::Form;
use super::control::{Button, Choice, Control, Direction, Dirname, Kind, Sending, Tick};
use super::direction::Directions;
use super::form_owner::FormOwners;
use super::inherited::Inherited;
use super::input::{InputType, integer};
use crate::error::{Error, Result};
use crate::tree::{Context, DEPTH, Parsed, WalkEvent, text_without, walk};

/// All forms of a page, in its order.
pub(crate) fn read(page: &Arc<Context>, parsed: &Parsed) -> Result<Vec<Form>> {
    let mut reader = Reader::default();
    let mut inherited = Inherited::default();
    let mut outside = Vec::new();
    for step in walk(&parsed.html) {
        match step {
            WalkEvent::Leave => inherited = outside.pop().unwrap_or_default(),
            WalkEvent::Enter(element) => {
                let inside = reader.enter(element, &mut inherited);
                outside.push(std::mem::replace(&mut inherited, inside));
            }
        }
        // The parser may have moved elements deeper than they were when they were counted.
        if outside.len() > 4 * DEPTH as usize {
            return Err(Error::page("the page nests too many elements"));
        }
    }
    reader.finish(page, parsed)
}

#[derive(Default)]
struct Reader<'a> {
    forms: Vec<ElementRef<'a>>,
    /// The first element of each id.
    ids: HashMap<&'a str, NodeId>,
    found: Vec<FoundControl<'a>>,
}

struct FoundControl<'a> {
    control: Control,
    /// Its `form` attribute.
    names: Option<&'a str>,
    /// The form around it.
    parent_form: Option<NodeId>,
    direction: Option<Directions>,
}

impl<'a> Reader<'a> {
    /// Returns the properties that the element passes on to its children.
    fn enter(&mut self, element: ElementRef<'a>, inherited: &mut Inherited) -> Inherited {
        let mut inside = inherited.inside(element);
        if let Some(id) = element.attr("id") {
            self.ids.entry(id).or_insert(element.id());
        }
        if element.value().name.ns != ns!(html) {
            return inside;
        }
        match element.value().name() {
            "form" => self.forms.push(element),
            "option" => self.option(element, inherited),
            name @ ("input" | "button" | "select" | "textarea") => {
                if name == "select" {
                    inside.select = Some(self.found.len());
                }
                let control = control(element, name, &inside);
                let direction = control.dirname.is_some().then_some(inside.direction);
                self.found.push(FoundControl {
                    control,
                    names: element.attr("form"),
                    parent_form: inherited.form,
                    direction,
                });
            }
            _ => {}
        }
        inside
    }

    fn option(&mut self, element: ElementRef<'a>, inherited: &Inherited) {
        let Some(found) = inherited.select.and_then(|at| self.found.get_mut(at)) else { return };
        let Kind::Select { options, .. } = &mut found.control.kind else { return };
        let text = || text_without(element, &["script"]);
        let value = element.attr("value").map_or_else(text, str::to_owned);
        let label = element.attr("label").filter(|label| !label.is_empty()).map_or_else(text, str::to_owned);
        let disabled = element.attr("disabled").is_some() || inherited.optgroup == Some(true);
        options.push(Choice { value, label, disabled, selected: element.attr("selected").is_some() });
    }

    fn finish(self, page: &Arc<Context>, parsed: &Parsed) -> Result<Vec<Form>> {
        let Self { forms, ids, found } = self;
        let owners = FormOwners::new(&forms, &ids, &parsed.owners);
        let mut controls: Vec<Vec<Control>> = forms.iter().map(|_| Vec::new()).collect();
        let mut directions = HashMap::new();
        for FoundControl { mut control, names, parent_form, direction } in found {
            let Some(form) = owners.owner(control.node, names, parent_form) else { continue };
            if let (Some(dirname), Some(direction)) = (&mut control.dirname, direction) {
                dirname.direction = direction.resolved(&parsed.html, &mut directions);
            }
            controls[form].push(control);
        }
        let forms = forms.iter().zip(controls).map(|(element, mut controls)| {
            super::initial_state::settle(&mut controls);
            Form::new(page.clone(), *element, controls)
        });
        Ok(forms.collect())
    }
}

fn control(element: ElementRef<'_>, name: &str, inherited: &Inherited) -> Control {
    let owners = |name| element.attr(name).map(str::to_owned);
    let kind = match name {
        "input" => input(element),
        "button" => button(element),
        "select" => select(element),
        _ => textarea(element),
    };
    let has_direction = match &kind {
        Kind::Input(input, _) => input.has_direction(),
        Kind::Textarea { .. } | Kind::Submit(_) => true,
        _ => false,
    };
    let dirname = owners("dirname").filter(|name| has_direction && !name.is_empty());
    Control {
        node: element.id(),
        id: owners("id").filter(|id| !id.is_empty()),
        name: owners("name").unwrap_or_default(),
        disabled: inherited.disabled || element.attr("disabled").is_some(),
        dirname: dirname.map(|name| Dirname { name, direction: Direction::Ltr }),
        kind,
    }
}

fn input(element: ElementRef<'_>) -> Kind {
    let given = element.attr("value");
    let value = given.unwrap_or_default();
    let kind = element.attr("type").unwrap_or_default().to_ascii_lowercase();
    let tick = || Tick { value: given.unwrap_or("on").to_owned(), on: element.attr("checked").is_some() };
    match kind.as_str() {
        "checkbox" => Kind::Checkbox(tick()),
        "radio" => Kind::Radio(tick()),
        "file" => Kind::File { multiple: element.attr("multiple").is_some(), chosen: Vec::new() },
        // Its label goes where there is no value: browsers send what they show.
        "submit" => Kind::Submit(submitting(element, given.unwrap_or("Submit"))),
        "image" => Kind::Image(submitting(element, value)),
        "button" | "reset" => Kind::Idle,
        kind => {
            let kind = InputType::of(element, kind);
            Kind::Input(kind, kind.sanitized(value))
        }
    }
}

fn button(element: ElementRef<'_>) -> Kind {
    let commands = || element.attr("command").is_some() || element.attr("commandfor").is_some();
    match element.attr("type").unwrap_or_default().to_ascii_lowercase().as_str() {
        "button" | "reset" => Kind::Idle,
        "submit" => Kind::Submit(submitting(element, element.attr("value").unwrap_or_default())),
        _ if commands() => Kind::Idle,
        _ => Kind::Submit(submitting(element, element.attr("value").unwrap_or_default())),
    }
}

fn submitting(element: ElementRef<'_>, value: &str) -> Button {
    let owners = |name| element.attr(name).map(str::to_owned);
    let instead =
        Sending { action: owners("formaction"), method: owners("formmethod"), enctype: owners("formenctype") };
    Button { value: value.to_owned(), instead: Box::new(instead) }
}

fn select(element: ElementRef<'_>) -> Kind {
    let multiple = element.attr("multiple").is_some();
    let size = element.attr("size").and_then(integer);
    Kind::Select { multiple, menu: !multiple && size.is_none_or(|size| size <= 1), options: Vec::new() }
}

/// The parser has dropped a line break that it begins with.
fn textarea(element: ElementRef<'_>) -> Kind {
    let value = element.text().collect();
    let hard = element.attr("wrap").is_some_and(|wrap| wrap.eq_ignore_ascii_case("hard"));
    let columns =
        element.attr("cols").and_then(|columns| columns.trim_ascii().parse().ok()).filter(|columns| *columns > 0);
    Kind::Textarea { value, columns: hard.then(|| columns.unwrap_or(20) as usize) }
}
