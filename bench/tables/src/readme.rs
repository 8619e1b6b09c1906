//! Tables of the two READMEs, between the markers of each.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::bars::Bar;
use crate::chapters::{self, Chapter};
use crate::parameters::small_group;
use crate::results::Results;
use crate::table::{number, table};

const BENCH_MARKERS: [&str; 2] = ["<!-- figures: written by ./bench/run -->\n", "<!-- end of figures -->\n"];
const SUMMARY_MARKERS: [&str; 2] = ["<!-- bench: begin -->\n", "<!-- bench: end -->\n"];

/// Writes all tables into `bench/README.md`, and a summary into `README.md`.
///
/// # Errors
///
/// Fails if a README cannot be read or written, or lacks its markers.
pub fn write_readmes(repository: &Path, results: &Results) -> Result<()> {
    replace(&repository.join("bench/README.md"), BENCH_MARKERS, &render(results))?;
    replace(&repository.join("README.md"), SUMMARY_MARKERS, &summary(results))
}

/// All tables of a run, as `bench/README.md` shows them.
pub fn render(results: &Results) -> String {
    let environment = &results.environment;
    let method = match environment.quick {
        false => "Medians of rounds in which the clients take turns; ratios are computed within each round.",
        true => "A quick run of one round: its numbers are unreliable.",
    };
    let chapters = chapters::all(results);
    let mut text = paragraph(&format!(
        "Measured on {}, in {} minutes, on {}. Other virtual machines took {} % of the CPU time. {method}",
        environment.date,
        number(environment.minutes),
        environment.hardware,
        number(environment.steal_percent),
    ));
    text += &format!("\n{}", paragraph(&format!("Versions: {}.", environment.versions)));
    let bars: Vec<Vec<String>> =
        bars(&chapters).map(|bar| vec![bar.goal.clone(), bar.value.clone(), bar.verdict().to_owned()]).collect();
    text += &format!("\n## The bars\n\n{}", table(&["bar", "value", ""], &bars));
    for chapter in &chapters {
        text += &format!("\n## {}\n\n{}\n{}", chapter.title, paragraph(&chapter.method), chapter.tables);
    }
    text
}

/// Short table of the ratios that matter most, as the top-level README shows them.
fn summary(results: &Results) -> String {
    let chapters = chapters::all(results);
    let (total, missed): (usize, Vec<&Bar>) =
        (bars(&chapters).count(), bars(&chapters).filter(|bar| bar.met == Some(false)).collect());
    let missed_goals: Vec<String> = missed.iter().map(|bar| format!("{} ({})", bar.goal, bar.value)).collect();
    let header = ["measured", "other client", "trunkline ÷ other", "bar", ""];
    let mut text = format!("{}\n", table(&header, &summary_rows(results)));
    text += &paragraph(&format!(
        "Measured on {} on {}; all tables are in [bench/README.md](bench/README.md). Of {total} bars {} are missed{} {}.",
        results.environment.date,
        results.environment.hardware,
        missed.len(),
        if missed.is_empty() { "" } else { ":" },
        missed_goals.join("; "),
    ));
    text
}

/// Rows of the summary: quantity, other client, ratio, bar and verdict.
fn summary_rows(results: &Results) -> Vec<Vec<String>> {
    let busy = small_group(64, 2);
    let single = small_group(64, 1);
    let at_least = |bound: f64| (format!("at least {}", number(bound)), Some(bound));
    let no_bar = || ("–".to_owned(), None);
    let rows = [
        ("requests/s, 64 in flight, 2 threads", busy.as_str(), "reqwest", "rate", at_least(2.0)),
        ("requests/s, 64 in flight, 2 threads", busy.as_str(), "hyper-util", "rate", at_least(1.3)),
        ("requests/s, 64 in flight, 1 thread", single.as_str(), "aiohttp", "rate", no_bar()),
        ("CPU per request, 64 in flight, 2 threads", busy.as_str(), "reqwest", "cpu", no_bar()),
        ("CPU per request, 64 in flight, 2 threads", busy.as_str(), "hyper-util", "cpu", no_bar()),
        ("memory per idle connection", "idle", "reqwest", "memory", no_bar()),
        ("pages/s, `trunkline fetch`", "fetch", "curl", "rate", at_least(2.0)),
        ("pages/s, `trunkline fetch`", "fetch", "wget2", "rate", at_least(2.0)),
    ];
    let row = |(quantity, group, client, metric, (bar, bound)): (&str, &str, &str, &str, (String, Option<f64>))| {
        let ratio = results.groups.get(group)?.ratio(client, metric)?;
        let verdict = match bound {
            Some(bound) if ratio < bound => "**missed**",
            Some(_) => "met",
            None => "",
        };
        Some(vec![quantity.to_owned(), client.to_owned(), number(ratio), bar, verdict.to_owned()])
    };
    rows.into_iter().filter_map(row).collect()
}

fn bars(chapters: &[Chapter]) -> impl Iterator<Item = &Bar> {
    chapters.iter().flat_map(|chapter| &chapter.bars)
}

/// Wraps a paragraph at 100 columns.
fn paragraph(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > 100 {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

/// Replaces the text between the markers.
fn replace(path: &Path, [begin, end]: [&str; 2], text: &str) -> Result<()> {
    let readme = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let markers = || format!("{} lacks the markers {} and {}", path.display(), begin.trim(), end.trim());
    let (before, rest) = readme.split_once(begin).with_context(markers)?;
    let (_, after) = rest.split_once(end).with_context(markers)?;
    fs::write(path, format!("{before}{begin}\n{text}\n{end}{after}")).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_have_at_most_a_hundred_columns() {
        let text = paragraph(&"word ".repeat(60));
        assert!(text.lines().count() == 3 && text.lines().all(|line| line.len() <= 100), "{text}");
        assert_eq!(text.split_whitespace().count(), 60);
    }
}
