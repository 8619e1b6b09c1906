//! Bodies saved to files: whole or not at all.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use trunkline::{Error, Session};

use crate::decoding::{always, coded, gzip, response};
use crate::support::{Gate, Rogue, Step, TempDir};
use crate::{SOON, eventually, within};

async fn save(rogue: &Rogue, path: impl AsRef<Path>) -> trunkline::Result<u64> {
    within(SOON, async { Session::new().get(rogue.url("/")).await?.save_to(path).await }).await
}

/// The names in the directory, hidden files included.
fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_body_is_saved_whole_decoded_and_without_a_limit() {
    let dir = TempDir::new("saving");
    let text = "a line\n".repeat(300_000);
    let rogue = Rogue::start(vec![
        Step::ReadHead,
        coded("gzip", gzip(&text)),
        Step::ReadHead,
        Step::ok(&text),
        Step::ReadHead,
        Step::ok(""),
    ])
    .await;
    let session = Session::builder().max_body_size(10).build().unwrap();
    for (name, content) in [("decoded", &*text), ("plain", &*text), ("empty", "")] {
        let response = within(SOON, session.get(rogue.url("/")).send()).await.unwrap();
        assert_eq!(within(SOON, response.save_to(dir.join(name))).await.unwrap(), content.len() as u64);
        assert!(fs::read_to_string(dir.join(name)).unwrap() == content, "{name}");
        assert_eq!(session.stats().in_use, 0);
    }
    assert_eq!(names(&dir), ["decoded", "empty", "plain"]);
    assert_eq!(rogue.accepted(), 1);
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_what_was_there() {
    let dir = TempDir::new("saving");
    let old = dir.write("old", "old");
    let cut = Step::send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf");
    let rogue = Rogue::start(vec![Step::ReadHead, cut, Step::Close]).await;
    for name in ["old", "new"] {
        let error = save(&rogue, dir.join(name)).await.unwrap_err();
        assert!(error.is_body() && !error.is_file(), "{error:?}");
    }
    let broken = gzip(vec![0; 10 << 20]);
    let rogue = always(coded("gzip", &broken[..broken.len() - 1])).await;
    let error = save(&rogue, &old).await.unwrap_err();
    assert!(error.is_body() && error.to_string().contains("breaks off"), "{error}");
    assert_eq!((names(&dir), fs::read(&old).unwrap()), (vec!["old".to_owned()], b"old".to_vec()));
}

#[tokio::test]
async fn given_up_in_the_middle_it_leaves_nothing() {
    let dir = TempDir::new("saving");
    let gate = Gate::new();
    let half = Step::send([&b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n"[..], &[0; 2_000_000]].concat());
    let rogue = Rogue::start(vec![Step::ReadHead, half, Step::WaitFor(gate.clone())]).await;
    let response = within(SOON, Session::new().get(rogue.url("/")).send()).await.unwrap();
    let saving = tokio::spawn(response.save_to(dir.join("file")));
    let begun = || {
        fs::read_dir(dir.path())
            .unwrap()
            .any(|entry| entry.unwrap().metadata().is_ok_and(|data| data.len() > 1_000_000))
    };
    eventually("half of it is on disk", begun).await;
    assert!(
        names(&dir).iter().all(|name| name.starts_with(".trunkline-") && name.ends_with(".part")),
        "{:?}",
        names(&dir)
    );
    saving.abort();
    assert!(saving.await.unwrap_err().is_cancelled());
    eventually("it is gone", || names(&dir).is_empty()).await;
    gate.open();
}

#[tokio::test]
async fn a_replaced_file_keeps_its_mode_and_a_link_is_followed() {
    let dir = TempDir::new("saving");
    let rogue = always(Step::ok("new")).await;
    let file = dir.write("file", "old, and longer");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("file", dir.join("link")).unwrap();
    assert_eq!(save(&rogue, dir.join("link")).await.unwrap(), 3);
    assert_eq!((fs::read(&file).unwrap(), mode(&file)), (b"new".to_vec(), 0o640));
    assert!(fs::symlink_metadata(dir.join("link")).unwrap().is_symlink());
    // A new one is like any other that is made here.
    save(&rogue, dir.join("made")).await.unwrap();
    assert_eq!(mode(&dir.join("made")), mode(&dir.write("ordinary", "")));
}

#[tokio::test]
async fn what_cannot_be_written_is_named_and_not_replaced() {
    let dir = TempDir::new("saving");
    let rogue = always(response("200 OK", "", "new")).await;
    fs::create_dir(dir.join("directory")).unwrap();
    for path in [
        dir.join("directory"),
        dir.join("missing/file"),
        "/dev/null".into(),
        dir.write("file", "").join("below"),
        dir.join("directory/.."),
    ] {
        let error = save(&rogue, &path).await.unwrap_err();
        assert!(error.is_file() && !error.is_body() && !error.is_input(), "{error:?}");
        let shown = error.to_string();
        let named = fs::canonicalize(&path).unwrap_or(path);
        assert!(shown.contains(&format!("not saved: cannot write {named:?}")), "{shown}");
        assert!(std::error::Error::source(&error).is_some());
    }
    assert_eq!(names(&dir), ["directory", "file"]);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[tokio::test]
async fn many_are_saved_side_by_side() {
    let dir = TempDir::new("saving");
    let rogue = Rogue::start(Step::serve(vec![7; 600_000])).await;
    let session = Session::new();
    let saving: Vec<_> = (0..20)
        .map(|number| {
            let (request, path) = (session.get(rogue.url("/")), dir.join(&number.to_string()));
            tokio::spawn(async move { request.await?.save_to(path).await })
        })
        .collect();
    for saved in saving {
        let saved: Result<u64, Error> = within(Duration::from_secs(30), saved).await.unwrap();
        assert_eq!(saved.unwrap(), 600_000);
    }
    assert_eq!(names(&dir).len(), 20);
}
