//! Entry list of a form: the HTML standard's "constructing the entry list".

use encoding_rs::Encoding;

use super::control::{Control, Direction, Dirname, Kind};
use super::direction;
use super::upload::Upload;

pub(super) struct Entry {
    pub(super) name: String,
    pub(super) value: Content,
}

pub(super) enum Content {
    Text(String),
    File(Upload),
}

impl Entry {
    fn text(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Content::Text(value.into()) }
    }
}

/// A button, with the clicked point.
#[derive(Clone, Copy)]
pub(super) struct Clicked<'a> {
    pub(super) button: &'a Control,
    pub(super) at: (u32, u32),
}

/// `encoding` is what they will be encoded in, for those who want to be told.
pub(super) fn entries(controls: &[Control], clicked: Option<Clicked<'_>>, encoding: &'static Encoding) -> Vec<Entry> {
    let mut entries = Vec::new();
    for control in controls {
        let clicked = clicked.filter(|clicked| std::ptr::eq(clicked.button, control));
        if control.disabled || control.is_button() && clicked.is_none() {
            continue;
        }
        match (&control.kind, clicked) {
            (Kind::Image(_), Some(clicked)) => image(control, clicked, &mut entries),
            _ if control.name.is_empty() => {}
            _ => named(control, encoding, &mut entries),
        }
    }
    entries
}

/// It may be without a name.
fn image(control: &Control, clicked: Clicked<'_>, entries: &mut Vec<Entry>) {
    let prefix = if control.name.is_empty() { String::new() } else { format!("{}.", control.name) };
    entries.push(Entry::text(format!("{prefix}x"), clicked.at.0.to_string()));
    entries.push(Entry::text(format!("{prefix}y"), clicked.at.1.to_string()));
}

fn named(control: &Control, encoding: &'static Encoding, entries: &mut Vec<Entry>) {
    let Control { name, kind, dirname, .. } = control;
    let value = match kind {
        Kind::Select { options, .. } => {
            let chosen = options.iter().filter(|option| option.selected && !option.disabled);
            return entries.extend(chosen.map(|option| Entry::text(name, &option.value)));
        }
        Kind::File { chosen, .. } => {
            let files = if chosen.is_empty() { &[Upload::none()][..] } else { chosen };
            return entries
                .extend(files.iter().map(|file| Entry { name: name.clone(), value: Content::File(file.clone()) }));
        }
        Kind::Checkbox(tick) | Kind::Radio(tick) if tick.on => &tick.value,
        Kind::Checkbox(_) | Kind::Radio(_) | Kind::Idle => return,
        Kind::Input(..) if control.is_hidden() && name.eq_ignore_ascii_case("_charset_") => encoding.name(),
        Kind::Input(_, value) | Kind::Textarea { value, columns: None } => value,
        Kind::Textarea { value, columns: Some(columns) } => &wrapped(value, *columns),
        Kind::Submit(button) | Kind::Image(button) => &button.value,
    };
    entries.push(Entry::text(name, value));
    if let Some(Dirname { name, direction }) = dirname {
        let direction = if *direction == Direction::Auto { direction::of_text(value) } else { Some(*direction) };
        entries.push(Entry::text(name, if direction == Some(Direction::Rtl) { "rtl" } else { "ltr" }));
    }
}

/// Lines of so many characters, broken behind white space where there is some, else anywhere.
fn wrapped(text: &str, columns: usize) -> String {
    let lines = text.split('\n').map(|line| broken(line, columns));
    lines.collect::<Vec<_>>().join("\n")
}

fn broken(line: &str, columns: usize) -> String {
    let letters: Vec<char> = line.chars().collect();
    let mut rest = &letters[..];
    let mut result = String::with_capacity(line.len());
    while rest.len() > columns {
        // White space that does not fit hangs over the end of the line.
        let overhang = rest[columns..].iter().take_while(|letter| **letter == ' ').count();
        let fitting = rest[..columns].iter().rposition(|letter| *letter == ' ').map_or(columns, |space| space + 1);
        let (line, behind) = rest.split_at(if overhang > 0 { columns + overhang } else { fitting });
        result.extend(line);
        if !behind.is_empty() {
            result.push('\n');
        }
        rest = behind;
    }
    result.extend(rest);
    result
}
