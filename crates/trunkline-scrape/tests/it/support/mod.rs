//! What the tests stand on: a server that records, a browser that sends, the corpus that both are
//! given, sites to log in to.

pub(crate) mod cases;
pub(crate) mod chromium;
pub(crate) mod django;
pub(crate) mod jupyter;
pub(crate) mod pages;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod recorder;
pub(crate) mod site;
pub(crate) mod sockets;
pub(crate) mod temp_dir;
pub(crate) mod tls;
pub(crate) mod web;
