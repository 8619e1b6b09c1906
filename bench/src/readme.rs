//! The text of a run, and its place in README.md.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::sections::Section;
use crate::table::table;

const BEGIN: &str = "<!-- figures: written by ./bench/run -->\n";
const END: &str = "<!-- end of figures -->\n";

/// `around` is what was measured where.
pub(crate) fn render(around: &str, sections: &[Section]) -> String {
    let bars = sections.iter().flat_map(|section| &section.bars);
    let bars: Vec<Vec<String>> =
        bars.map(|bar| vec![bar.what.clone(), bar.figure.clone(), bar.verdict().to_owned()]).collect();
    let mut text = format!("{around}\n\n## The bars\n\n{}", table(&["bar", "figure", ""], &bars));
    for section in sections {
        text += &format!("\n## {}\n\n{}\n\n{}", section.title, section.method, section.table);
    }
    text
}

/// Replaces what stands between the markers; the rest is written by hand.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let readme = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let (before, rest) = readme.split_once(BEGIN).context("README.md has no marker where the figures begin")?;
    let (_, after) = rest.split_once(END).context("README.md has no marker where the figures end")?;
    fs::write(path, format!("{before}{BEGIN}\n{text}\n{END}{after}"))?;
    Ok(())
}
