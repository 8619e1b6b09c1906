//! Initial state of a form: checked radio buttons and selected options.

use std::collections::HashSet;

use super::control::{Control, Kind};

pub(super) fn settle(controls: &mut [Control]) {
    settle_radios(controls);
    for control in controls {
        if let Kind::Select { multiple: false, menu, options } = &mut control.kind {
            // The last one that says so, else the first that can be.
            let last = options.iter().rposition(|option| option.selected);
            let last = last.or_else(|| options.iter().position(|option| *menu && !option.disabled));
            for (at, option) in options.iter_mut().enumerate() {
                option.selected = Some(at) == last;
            }
        }
    }
}

/// Of those that say they are chosen, the last one of a group is.
fn settle_radios(controls: &mut [Control]) {
    let mut chosen = HashSet::new();
    for Control { kind, name, .. } in controls.iter_mut().rev() {
        if let Kind::Radio(tick) = kind
            && tick.on
            && !name.is_empty()
        {
            tick.on = chosen.insert(name.clone());
        }
    }
}
