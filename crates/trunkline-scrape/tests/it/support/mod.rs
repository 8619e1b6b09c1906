//! What the tests stand on: a server that records, a browser that sends, the corpus that both are given.

pub(crate) mod cases;
pub(crate) mod chromium;
pub(crate) mod pages;
pub(crate) mod recorder;
pub(crate) mod temp_dir;
