//! `<textarea wrap=hard>`: lines are broken where they are broken on the page.

/// Lines of so many characters, broken behind white space where there is some, else anywhere.
pub(super) fn wrapped(text: &str, columns: usize) -> String {
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
