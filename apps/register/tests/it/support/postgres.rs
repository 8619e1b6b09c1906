//! Temporary Postgres cluster for all tests of one binary, and a separate database for each test.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use sqlx::{Connection as _, Executor as _, PgConnection};

use super::TempDir;

/// User for Postgres if the tests run as root, which Postgres refuses.
const USER: &str = "nobody";

/// Ends the cluster when the test process ends for any reason: its input is a pipe held by the test
/// process only. SIGQUIT is an immediate shutdown, which leaves no shared memory behind. `$0` is
/// the directory of the cluster. A line of input is the number of seconds to be down.
const WATCHDOG: &str = r#"
"$@" </dev/null &
child=$!
while read -r down; do
    kill -QUIT $child
    wait $child
    sleep "$down"
    "$@" </dev/null &
    child=$!
done
kill -QUIT $child
wait $child
rm -rf "$0"
"#;

/// Cluster. It runs until the test process ends.
pub(crate) struct Postgres {
    _watchdog: Child,
    lifeline: ChildStdin,
    port: u16,
    databases: AtomicUsize,
}

impl Postgres {
    /// Returns the shared cluster of this process, started at the first call.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Creates an empty database, and returns its URL.
    pub(crate) async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Ends the cluster as a power failure would, and starts it again after this time.
    pub(crate) fn restart(&mut self, down: Duration) {
        writeln!(self.lifeline, "{}", down.as_secs_f64()).unwrap();
    }

    /// Starts a cluster for one test.
    pub(crate) fn start() -> Self {
        // Another process may take the free port before Postgres binds it.
        let mut attempts = (0..5).map(|_| Self::attempt());
        match attempts.find_map(Result::ok) {
            Some(cluster) => cluster,
            None => panic!("Postgres does not start: {}", Self::attempt().err().unwrap_or_default()),
        }
    }

    fn attempt() -> Result<Self, String> {
        let dir = TempDir::new("postgres");
        // The other user needs access to this directory only.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let data = dir.join("data");
        make_cluster(&dir, &data);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut watchdog = launch(&dir, &data, port);
        let lifeline = watchdog.stdin.take().unwrap();
        if let Err(said) = wait_until_ready(&dir) {
            drop(lifeline);
            let _ = watchdog.wait();
            return Err(said);
        }
        // The watchdog removes the directory.
        std::mem::forget(dir);
        Ok(Self { _watchdog: watchdog, lifeline, port, databases: AtomicUsize::new(0) })
    }
}

fn make_cluster(dir: &TempDir, data: &Path) {
    fs::create_dir(data).unwrap();
    if am_root(dir) {
        let chown = Command::new("chown").arg(USER).arg(data).status().unwrap();
        assert!(chown.success());
    }
    let made = as_user(dir, "initdb")
        .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
        .arg(data)
        .output()
        .unwrap();
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
}

fn launch(dir: &TempDir, data: &Path, port: u16) -> Child {
    let output = File::create(dir.join("output")).unwrap();
    let server = as_user(dir, "postgres");
    Command::new("/bin/sh")
        .arg("-c")
        .arg(WATCHDOG)
        .arg(dir.path())
        .arg(server.get_program())
        .args(server.get_args())
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string()])
        // Durable against killed processes, not against a crash of the machine.
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"])
        .args(["-c", "max_connections=500", "-c", "shared_buffers=64MB"])
        .current_dir(data)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap()
}

/// Output of a server that ended or takes too long to start.
fn wait_until_ready(dir: &TempDir) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let said = fs::read_to_string(dir.join("output")).unwrap_or_default();
        if said.contains("ready to accept connections") {
            return Ok(());
        }
        if said.contains("FATAL") || begun.elapsed() > Duration::from_secs(60) {
            return Err(said);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Program of Postgres, run as a user other than root.
fn as_user(dir: &TempDir, program: &str) -> Command {
    let path = find(program);
    if !am_root(dir) {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--clear-groups", "--"]).arg(path).current_dir(dir.path());
    command
}

/// User that runs the tests: the owner of this directory.
fn am_root(dir: &TempDir) -> bool {
    fs::metadata(dir.path()).unwrap().uid() == 0
}

/// Debian installs the programs outside of `PATH`.
pub(super) fn find(program: &str) -> PathBuf {
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let places = debian.chain(env::split_paths(&path));
    let mut found = places.map(|place| place.join(program)).filter(|file| file.is_file());
    found
        .next()
        .unwrap_or_else(|| panic!("{program} of Postgres is missing: run ./test once, it installs what tests need"))
}
