//! Direction of text, for `dirname`.

use std::collections::HashMap;

use ego_tree::NodeId;
use scraper::{ElementRef, Html};

use super::control::Direction;

/// The direction of what is in an element, as far as the element itself says.
#[derive(Clone, Copy)]
pub(super) enum Directions {
    Is(Direction),
    /// That of this element's text.
    OfText(NodeId),
}

impl Default for Directions {
    fn default() -> Self {
        Self::Is(Direction::Ltr)
    }
}

impl Directions {
    pub(super) fn inside(self, element: ElementRef<'_>) -> Self {
        let name = element.value().name();
        let control = matches!(name, "input" | "textarea");
        match element.attr("dir").map(str::to_ascii_lowercase).as_deref() {
            Some("ltr") => Self::Is(Direction::Ltr),
            Some("rtl") => Self::Is(Direction::Rtl),
            // Its own text is what will be in it then.
            Some("auto") if control => Self::Is(Direction::Auto),
            Some("auto") => Self::OfText(element.id()),
            _ if name == "bdi" => Self::OfText(element.id()),
            _ if name == "input" && element.attr("type").is_some_and(|kind| kind.eq_ignore_ascii_case("tel")) => {
                Self::Is(Direction::Ltr)
            }
            _ => self,
        }
    }

    /// `known` are those that were looked up before.
    pub(super) fn resolved(self, html: &Html, known: &mut HashMap<NodeId, Direction>) -> Direction {
        match self {
            Self::Is(direction) => direction,
            Self::OfText(node) => *known.entry(node).or_insert_with(|| {
                let element = html.tree.get(node).and_then(ElementRef::wrap);
                let mut texts = element.into_iter().flat_map(|element| element.text());
                texts.find_map(of_text).unwrap_or(Direction::Ltr)
            }),
        }
    }
}

/// That of the first letter that has one.
pub(super) fn of_text(text: &str) -> Option<Direction> {
    text.chars().find_map(|letter| match letter {
        // Hebrew, Arabic, Syriac, Thaana, N'Ko, Samaritan and Mandaic; their presentation forms;
        // the scripts of old, Adlam and Mende Kikakui.
        '\u{590}'..='\u{8ff}'
        | '\u{fb1d}'..='\u{fdff}'
        | '\u{fe70}'..='\u{fefe}'
        | '\u{10800}'..='\u{10fff}'
        | '\u{1e800}'..='\u{1efff}' => letter.is_alphabetic().then_some(Direction::Rtl),
        '\u{200f}' => Some(Direction::Rtl),
        '\u{200e}' => Some(Direction::Ltr),
        letter => letter.is_alphabetic().then_some(Direction::Ltr),
    })
}
