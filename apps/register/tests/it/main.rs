//! The service as a process: over HTTP, in a browser, with a database of its own and a mail service that counts.

mod support;
