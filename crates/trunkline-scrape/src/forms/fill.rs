//! Putting values into fields.

use super::control::{Choice, Control, Kind, Tick};
use super::field::{Field, list};
use super::upload::Upload;
use super::value::{Inner, Value};
use crate::error::{Error, Result};

pub(super) fn fill(controls: &mut [Control], name: &str, value: Value) -> Result<()> {
    let mut fields = fields(controls, name)?;
    match value.0 {
        Inner::Tick(on) => tick(&mut fields, name, on),
        Inner::Files(files) => choose_files(&mut fields, name, files),
        Inner::Texts(texts) => match fields[0].kind {
            Kind::Checkbox(_) | Kind::Radio(_) => tick_these(&mut fields, name, &texts),
            Kind::Select { multiple: true, .. } => select(fields[0], name, &texts),
            _ => one_by_one(&mut fields, name, &texts),
        },
    }
}

/// Those of this name that can be filled: the visible ones, if there are any. There is at least
/// one.
fn fields<'a>(controls: &'a mut [Control], name: &str) -> Result<Vec<&'a mut Control>> {
    let known = || {
        let named = controls.iter().filter(|control| !control.is_button() && !control.name.is_empty());
        list(named.map(|control| format!("{:?}", Field(control))), "none")
    };
    let all = || controls.iter().filter(|control| !control.is_button() && !name.is_empty() && control.name == name);
    if all().next().is_none() {
        return Err(Error::input(format!("the form has no field {name:?}; it has {}", known())));
    }
    if all().all(|control| control.disabled) {
        return Err(Error::input(format!("the field {name:?} is disabled: what it holds is not sent")));
    }
    let visible = all().any(|control| !control.disabled && !control.is_hidden());
    let meant = controls.iter_mut().filter(|control| {
        !control.is_button() && control.name == name && !control.disabled && control.is_hidden() != visible
    });
    Ok(meant.collect())
}

fn tick(fields: &mut [&mut Control], name: &str, on: bool) -> Result<()> {
    let mut boxes = fields.iter_mut().filter_map(|field| match &mut field.kind {
        Kind::Checkbox(tick) => Some(tick),
        _ => None,
    });
    match (boxes.next(), boxes.next()) {
        (Some(tick), None) => {
            tick.on = on;
            Ok(())
        }
        (None, _) => {
            Err(Error::input(format!("the field {name:?} is no checkbox, which could be {on}, but {}", kind(fields))))
        }
        _ => Err(Error::input(format!(
            "the field {name:?} has several checkboxes: name the values of those to be checked, of {}",
            values(fields)
        ))),
    }
}

fn tick_these(fields: &mut [&mut Control], name: &str, wanted: &[String]) -> Result<()> {
    let radio = fields.iter().any(|field| matches!(field.kind, Kind::Radio(_)));
    if radio && wanted.len() != 1 {
        return Err(Error::input(format!("of the radio buttons {name:?} one is chosen, of {}", values(fields))));
    }
    let there = |value: &String| fields.iter().any(|field| ticks(field).is_some_and(|tick| tick.value == *value));
    if let Some(odd) = wanted.iter().find(|value| !there(value)) {
        return Err(Error::input(format!("{odd:?} is no choice of {name:?}, which has {}", values(fields))));
    }
    let mut left = wanted.to_vec();
    for field in fields {
        if let Kind::Checkbox(tick) | Kind::Radio(tick) = &mut field.kind {
            // Of boxes with the same value, as many as there are values.
            let at = left.iter().position(|value| *value == tick.value);
            tick.on = at.map(|at| left.remove(at)).is_some();
        }
    }
    Ok(())
}

fn select(field: &mut Control, name: &str, wanted: &[String]) -> Result<()> {
    let Kind::Select { options, .. } = &mut field.kind else { return Ok(()) };
    let there = |value: &String| options.iter().any(|option| option.value == *value && !option.disabled);
    if let Some(odd) = wanted.iter().find(|value| !there(value)) {
        let open = options.iter().filter(|option| !option.disabled);
        let open = list(open.map(shown), "none that can be chosen");
        return Err(Error::input(format!("{odd:?} is no option of {name:?}, which has {open}")));
    }
    let mut left = wanted.to_vec();
    for option in options {
        let at = left.iter().position(|value| *value == option.value && !option.disabled);
        option.selected = at.map(|at| left.remove(at)).is_some();
    }
    Ok(())
}

/// `"de" (Germany)`
fn shown(option: &Choice) -> String {
    let Choice { value, label, .. } = option;
    if label == value || label.is_empty() {
        format!("{value:?}")
    } else {
        format!("{value:?} ({})", label.escape_debug())
    }
}

fn one_by_one(fields: &mut [&mut Control], name: &str, texts: &[String]) -> Result<()> {
    if texts.is_empty() || texts.len() > fields.len() {
        let (count, there) = (texts.len(), fields.len());
        return Err(Error::input(format!("{count} values for the field {name:?}, of which the form has {there}")));
    }
    for (field, text) in fields.iter_mut().zip(texts) {
        match &mut field.kind {
            Kind::Input(input, value) if input.takes(text) => *value = input.sanitized(text),
            Kind::Input(input, _) => {
                let kind = input.name();
                return Err(Error::input(format!(
                    "the field {name:?} does not hold such a value: it is of the type {kind}"
                )));
            }
            Kind::Textarea { value, .. } => value.clone_from(text),
            Kind::Select { .. } => select(field, name, std::slice::from_ref(text))?,
            _ => {
                return Err(Error::input(format!(
                    "the field {name:?} holds no text: it is of the type {}",
                    field.type_name()
                )));
            }
        }
    }
    Ok(())
}

fn choose_files(fields: &mut [&mut Control], name: &str, files: Vec<Upload>) -> Result<()> {
    let what = kind(fields);
    let mut inputs = fields.iter_mut().filter_map(|field| match &mut field.kind {
        Kind::File { multiple, chosen } => Some((*multiple, chosen)),
        _ => None,
    });
    match inputs.next() {
        None => Err(Error::input(format!("the field {name:?} takes no file: it is of the type {what}"))),
        Some((false, _)) if files.len() > 1 => {
            Err(Error::input(format!("the field {name:?} takes one file, not {}", files.len())))
        }
        Some((_, chosen)) => {
            *chosen = files;
            Ok(())
        }
    }
}

fn ticks(field: &Control) -> Option<&Tick> {
    match &field.kind {
        Kind::Checkbox(tick) | Kind::Radio(tick) => Some(tick),
        _ => None,
    }
}

fn kind(fields: &[&mut Control]) -> &'static str {
    fields.first().map(|field| field.type_name()).unwrap_or_default()
}

fn values(fields: &[&mut Control]) -> String {
    list(fields.iter().filter_map(|field| ticks(field)).map(|tick| format!("{:?}", tick.value)), "none")
}
