//! Servers, browsers and cases that the tests share.

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
