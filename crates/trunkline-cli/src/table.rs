//! Text table: names in the first column, numbers right-aligned in the others.

use std::fmt;

/// Columns that a name keeps on a terminal too narrow for the table.
const SHORTEST_NAME: usize = 16;

/// Rows of the table, including its head.
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
    width: Option<usize>,
}

impl<const N: usize> Table<N> {
    /// Table with the given head. `width` is the width of the terminal, if the table is for one.
    pub(crate) fn new(head: [&str; N], width: Option<usize>) -> Self {
        Self { rows: vec![head.map(str::to_owned)], width }
    }

    pub(crate) fn row(&mut self, row: [String; N]) {
        self.rows.push(row);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<_> = (1..N).map(width).collect();
        let numbers: usize = widths.iter().map(|width| 2 + width).sum();
        let room = self.width.map_or(usize::MAX, |width| width.saturating_sub(numbers).max(SHORTEST_NAME));
        let name_width = width(0).min(room);
        for row in &self.rows {
            write!(f, "{:<name_width$}", shortened(&row[0], room))?;
            for (cell, width) in row[1..].iter().zip(&widths) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Shortens a long name in its middle: names of hosts differ at their beginning, and share their
/// end. Each letter is one column wide, because host names are in Punycode.
fn shortened(name: &str, width: usize) -> String {
    let letters: Vec<_> = name.chars().collect();
    if letters.len() <= width {
        return name.to_owned();
    }
    let end = width / 2;
    let (head, tail) = (&letters[..width - end - 1], &letters[letters.len() - end..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(host: &str, width: Option<usize>) -> String {
        let mut table = Table::new(["host", "pages", "failed", "bytes", "retries", "reused", "p50", "p99"], width);
        table.row([host, "1000", "0", "1.2 MB", "3", "98 %", "5 ms", "20 ms"].map(String::from));
        table.to_string()
    }

    #[test]
    fn columns_stand_below_their_heads() {
        let expected = "\
            host         pages  failed   bytes  retries  reused   p50    p99\n\
            http://a:80   1000       0  1.2 MB        3    98 %  5 ms  20 ms\n";
        for width in [None, Some(80), Some(64)] {
            assert_eq!(table("http://a:80", width), expected);
        }
    }

    #[test]
    fn a_long_name_is_shortened_for_the_numbers() {
        let host = format!("http://{}.example.com", "a".repeat(200));
        for width in [80, 200] {
            let table = table(&host, Some(width));
            assert!(table.lines().all(|line| line.chars().count() == width), "{table}");
            assert!(
                table.contains("http://aaa") && table.contains("a.example.com  ") && table.contains('…'),
                "{table}"
            );
        }
        assert!(table(&host, Some(20)).contains("\nhttp://…mple.com  "), "something is left of it");
        assert!(table(&host, None).contains(&host), "a file has room");
    }
}
