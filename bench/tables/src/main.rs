//! Command that writes the tables of both READMEs from `bench/results.json`.

use std::path::Path;

use anyhow::{Context as _, Result};
use bench_tables::{Results, write_readmes};

fn main() -> Result<()> {
    let repository = std::env::args().nth(1).context("usage: bench-tables REPOSITORY")?;
    let repository = Path::new(&repository);
    write_readmes(repository, &Results::load(repository)?)
}
