//! The program on a pseudo-terminal with simulated input.

use std::process::Command;

use serde::Deserialize;

/// Script that starts a program on a new terminal and waits for a text and for the expected echo
/// mode. It then types, or sends a signal, and prints the output, the exit code and the echo mode.
const TYPIST: &str = r#"
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

question, typed = os.environ.pop("QUESTION").encode(), os.environ.pop("TYPED").encode()
shown = os.environ.pop("SHOWN") == "true"
pid, master = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
number = struct.unpack("i", fcntl.ioctl(master, 0x80045430, b"\0" * 4))[0]
slave = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY)

def echoes():
    return bool(termios.tcgetattr(slave)[3] & termios.ECHO)

seen, done, status, deadline = b"", False, None, time.monotonic() + 60
while status is None:
    if time.monotonic() > deadline:
        os.kill(pid, signal.SIGKILL)
    if select.select([master], [], [], 0.01)[0]:
        seen += os.read(master, 65536)
        continue
    if not done and question in seen and echoes() == shown:
        done = True
        if typed.startswith(b"SIG"):
            os.kill(pid, getattr(signal, typed.decode()))
        else:
            os.write(master, typed)
    ended, how = os.waitpid(pid, os.WNOHANG)
    if ended:
        status = os.waitstatus_to_exitcode(how)
while select.select([master], [], [], 0.1)[0]:
    seen += os.read(master, 65536)
print(json.dumps({"seen": seen.decode(), "code": status, "echoes": echoes()}))
"#;

/// Result of a run on the terminal.
#[derive(Debug, Deserialize)]
pub(crate) struct Typed {
    pub(crate) seen: String,
    pub(crate) code: i32,
    pub(crate) echoes: bool,
}

/// Types, or sends the signal of that name, at a prompt without echo.
pub(crate) fn on_a_terminal<'a>(question: &str, typed: &str, arguments: impl IntoIterator<Item = &'a str>) -> Typed {
    type_on(question, typed, false, arguments)
}

/// Types, with echo, once `text` is shown.
pub(crate) fn shown_on_a_terminal<'a>(text: &str, typed: &str, arguments: impl IntoIterator<Item = &'a str>) -> Typed {
    type_on(text, typed, true, arguments)
}

fn type_on<'a>(question: &str, typed: &str, shown: bool, arguments: impl IntoIterator<Item = &'a str>) -> Typed {
    let python = super::sites::process::python("python");
    let run = Command::new(python)
        .args(["-c", TYPIST, env!("CARGO_BIN_EXE_trunkline")])
        .args(arguments)
        .envs([("QUESTION", question), ("TYPED", typed), ("SHOWN", &shown.to_string()), ("TERM", "xterm")])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).unwrap()
}
