//! Sites to log in to, those of the scraper's tests: Django, Jupyter Server, and one whose sessions
//! run out.

#![allow(dead_code, reason = "what is taken over is not used whole")]

#[path = "../../../../trunkline-scrape/tests/it/support/django.rs"]
pub(crate) mod django;
#[path = "../../../../trunkline-scrape/tests/it/support/jupyter.rs"]
pub(crate) mod jupyter;
#[path = "../../../../trunkline-scrape/tests/it/support/process.rs"]
pub(crate) mod process;
#[path = "../../../../trunkline-scrape/tests/it/support/site.rs"]
pub(crate) mod site;
#[path = "../../../../trunkline-scrape/tests/it/support/temp_dir.rs"]
pub(crate) mod temp_dir;
