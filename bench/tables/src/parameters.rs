//! Parameters of the measurements that the tables mention.

/// Number of hosts: nginx listens on 127.0.0.1 to 127.0.0.50.
pub const HOSTS: usize = 50;

/// Length of a small page, in bytes.
pub const SMALL: usize = "hello world\n".len();

/// Requests in flight and threads of each measurement with small pages.
pub const SMALL_SETTINGS: [(usize, usize); 4] = [(1, 1), (1, 2), (64, 1), (64, 2)];

/// Number of callers that compete for connections.
pub const CALLERS: usize = 1_000;

/// Number of connections that the callers compete for.
pub const CONNECTION_LIMIT: usize = 10;

/// Responses per second of the server that the callers use.
pub const LIMITED_RATE: usize = 2_000;

/// Number of idle connections; fewer in a quick run.
pub const fn idle_connections(quick: bool) -> usize {
    if quick { 2_000 } else { 5_000 }
}

/// Number of pages that each command fetches; fewer in a quick run.
pub const fn fetched_pages(quick: bool) -> usize {
    if quick { 2_000 } else { 20_000 }
}

/// Number of pages that each command fetches at once.
pub const FETCH_CONCURRENCY: usize = 100;

/// Number of mails that are sent at once: the default of apps/register.
pub const MAIL_SENDERS: usize = 8;

/// The measured libraries, trunkline first.
pub const LIBRARIES: [&str; 6] = ["trunkline", "hyper-util", "reqwest", "awc", "isahc", "aiohttp"];

/// The commands that fetch many pages.
pub const COMMANDS: [&str; 3] = ["trunkline", "curl", "wget2"];

/// The ways to send a mail.
pub const MAIL_VARIANTS: [&str; 3] = ["trunkline", "a client per mail", "a session per mail"];

/// Name of the group for small pages.
pub fn small_group(in_flight: usize, threads: usize) -> String {
    format!("small: {in_flight} in flight, {}", threads_text(threads))
}

/// Name of the group for mails.
pub fn mail_group(threads: usize) -> String {
    format!("mail: {}", threads_text(threads))
}

/// "1 thread", "2 threads".
pub(crate) fn threads_text(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}
