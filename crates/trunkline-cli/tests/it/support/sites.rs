//! Sites with a login, shared with the scraper's tests: Django, Jupyter Server, and a site whose
//! sessions expire.

#![allow(dead_code, reason = "only a part of the shared modules is used")]

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
