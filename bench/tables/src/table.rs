//! Markdown tables with aligned columns, and the format of their numbers.

use crate::results::Group;

/// Formats a table; the first column is text, the others are numbers.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).chain([header[column].chars().count(), 3]).max()
    };
    let widths: Vec<usize> = (0..header.len()).filter_map(width).collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let header: Vec<String> = header.iter().map(|&text| text.to_owned()).collect();
    let rule: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(column, width)| if column == 0 { "-".repeat(*width) } else { format!("{}:", "-".repeat(width - 1)) })
        .collect();
    let rows: String = rows.iter().map(|row| line(row)).collect();
    line(&header) + &line(&rule) + &rows
}

/// A column of a comparison: a metric of each client, or trunkline's value divided by it.
pub(crate) enum Column {
    Metric(&'static str),
    Ratio(&'static str),
}

/// Rows of a comparison: one for each client that was measured, in this order.
pub(crate) fn compare(group: &Group, clients: &[&str], columns: &[Column]) -> Vec<Vec<String>> {
    let row = |client: &&str| {
        let cells: Vec<Option<f64>> = columns
            .iter()
            .map(|column| match column {
                Column::Metric(metric) => group.median(client, metric),
                Column::Ratio(metric) => group.ratio(client, metric),
            })
            .collect();
        let measured = cells.iter().any(Option::is_some);
        let cells = cells.into_iter().map(|cell| cell.map_or("–".to_owned(), number));
        measured.then(|| std::iter::once((*client).to_owned()).chain(cells).collect())
    };
    clients.iter().filter_map(row).collect()
}

/// Formats with three significant digits and thousands separators: 123,456 / 12.3 / 1.23
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 && digit.is_ascii_digit() && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits() {
        let formatted: Vec<String> =
            [0.0, 1.1, 1.234, 12.34, 123.4, 1234.5, 123_456.7].into_iter().map(number).collect();
        assert_eq!(formatted, ["0", "1.1", "1.23", "12.3", "123", "1,234", "123,457"]);
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a".to_owned(), "1,000".to_owned()], vec!["bcde".to_owned(), "1".to_owned()]];
        assert_eq!(
            table(&["who", "n"], &rows),
            "| who  |     n |\n| ---- | ----: |\n| a    | 1,000 |\n| bcde |     1 |\n"
        );
    }
}
