//! The journal of rotations: what it takes for one, what it never touches, and what it survives.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use kaltura_app_token::{
    Client, ErrorKind, HandOver, Journal, NewToken, Resume, RotateOptions, RotationState, Rotator,
    Sink,
};
use kaltura_e2e::{admin, sandbox};
use kaltura_sandbox::Sandbox;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::{Value, json};

/// A folder of its own for each test.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("journal-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[derive(Debug)]
struct Sealed;

impl Sink for Sealed {
    fn deliver(&self, _: &HandOver) -> std::io::Result<()> {
        Err(std::io::Error::other("the vault is sealed"))
    }
}

#[derive(Debug)]
struct Open;

impl Sink for Open {
    fn deliver(&self, _: &HandOver) -> std::io::Result<()> {
        Ok(())
    }
}

/// A journal with one rotation that could not be handed over.
async fn unfinished(sandbox: &Sandbox, client: &Client, path: &Path) -> Vec<String> {
    let old = client.add_token(&NewToken::new()).await.unwrap();
    let journal = Journal::open(path).unwrap();
    let rotator = Rotator::new(client, &journal, Arc::new(Sealed));
    let rotated = rotator.rotate(&[old.id], &RotateOptions::default()).await;
    assert!(rotated.unwrap()[0].error.is_some());
    assert_eq!(sandbox.token_count(sandbox.partner_id()), 2);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_file_that_is_no_journal_is_refused_and_stays_as_it_is() {
    let folder = scratch("others");
    let long = "x".repeat(50 << 20);
    for (name, content) in [
        ("a secret", "0123456789abcdef0123456789abcdef"),
        ("json", "{\"rotation\":\"weekly\",\"team\":\"video\"}"),
        ("json over lines", "{\n  \"adminSecret\": \"abc\"\n}"),
        ("notes", "first\nsecond\nthird"),
        ("a note", "a note of my own\n"),
        ("the beginning of anything", "{"),
        ("fifty megabytes", long.as_str()),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let link = folder.join(format!("link to {name}"));
        symlink(&path, &link).unwrap();
        for path in [&path, &link] {
            let error = Journal::open(path).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains("line 1"), "{error}");
            assert!(error.message().len() < 1000, "it quotes the file");
        }
        assert!(std::fs::read_to_string(&path).unwrap() == content, "{name}");
        assert_eq!(mode(&path), 0o644, "{name}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_and_stays_as_it_is() {
    let folder = scratch("devices");
    let fifo = folder.join("fifo");
    let mut mkfifo = Command::new("mkfifo");
    mkfifo.args(["-m", "644"]).arg(&fifo);
    assert!(mkfifo.status().unwrap().success());
    let (null, zero) = (Path::new("/dev/null"), Path::new("/dev/zero"));
    let link = folder.join("link to a device");
    symlink(null, &link).unwrap();
    for path in [null, zero, fifo.as_path(), folder.as_path(), link.as_path()] {
        let before = mode(path);
        let error = Journal::open(path).unwrap_err();
        assert!(error.message().contains("regular file"), "{error}");
        assert_eq!(mode(path), before, "{}", path.display());
    }
}

#[tokio::test]
async fn a_link_to_a_journal_is_followed_and_no_mode_is_changed() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let folder = scratch("link");
    let (path, link) = (folder.join("journal"), folder.join("link"));
    let lines = unfinished(&sandbox, &client, &path).await;
    assert_eq!(mode(&path), 0o600);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    symlink(&path, &link).unwrap();
    let journal = Journal::open(&link).unwrap();
    assert_eq!(journal.unfinished().len(), 1);
    assert_eq!(mode(&path), 0o640);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        lines.join("\n") + "\n"
    );
}

/// It names tokens that are deleted.
#[test]
fn a_journal_that_somebody_else_may_have_written_is_refused() {
    let folder = scratch("planted");
    for (name, mode) in [("everybody", 0o606), ("a group", 0o660)] {
        let path = folder.join(name);
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let error = Journal::open(&path).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("not trusted"), "{error}");
    }
    let path = folder.join("of somebody else");
    std::fs::write(&path, "").unwrap();
    if std::os::unix::fs::chown(&path, Some(12), None).is_ok() {
        let error = Journal::open(&path).unwrap_err();
        assert!(error.message().contains("not trusted"), "{error}");
    }
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_nothing_else_is() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let path = scratch("torn").join("journal");
    let lines = unfinished(&sandbox, &client, &path).await;
    let whole = format!("{}\n", lines[0]);
    for length in 1..=lines[1].len() {
        std::fs::write(&path, format!("{whole}{}", &lines[1][..length])).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.unfinished()[0].state, RotationState::Intended);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole, "{length}");
    }
    // The very first line, as far as it is plainly ours.
    std::fs::write(&path, &lines[0][..50]).unwrap();
    assert!(Journal::open(&path).unwrap().entries().is_empty());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");

    let strange = format!("{whole}what is this");
    std::fs::write(&path, &strange).unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(error.message().contains("line 2"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), strange);
}

/// Earlier versions went on writing after a write that had failed half-way.
#[tokio::test]
async fn half_a_line_in_front_of_a_whole_one_is_passed_over() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let path = scratch("glued").join("journal");
    let lines = unfinished(&sandbox, &client, &path).await;
    let glued = |half: &str| format!("{}\n{half}{}\n", lines[0], lines[1]);
    std::fs::write(&path, glued(&lines[1][..70])).unwrap();
    let entry = Journal::open(&path).unwrap().unfinished().remove(0);
    assert_eq!(entry.state, RotationState::Created);
    assert!(entry.new_id.is_some());

    std::fs::write(&path, glued("what is this")).unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(error.message().contains("line 2"), "{error}");
}

#[tokio::test]
async fn a_journal_serves_one_owner_at_a_time() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let path = scratch("lock").join("journal");
    unfinished(&sandbox, &client, &path).await;

    let held = Journal::open(&path).unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Local);
    assert!(error.message().contains("in use"), "{error}");
    drop(held);
    assert_eq!(Journal::open(&path).unwrap().unfinished().len(), 1);
}

/// What a process of its own is to do, by way of its environment.
const ORDERS: &str = "KALTURA_JOURNAL_ORDERS";

/// Not a test by itself: what the test below starts, because a limit on files is a process's.
#[tokio::test]
async fn the_process_whose_disk_is_full_for_a_while() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let orders: Value = serde_json::from_str(&orders).unwrap();
    let text = |name: &str| orders[name].as_str().unwrap();
    let client = Client::builder()
        .service_url(text("url"))
        .partner_id(orders["partner"].as_i64().unwrap())
        .admin_secret(text("secret"))
        .build()
        .unwrap();
    let journal = Journal::open(text("journal")).unwrap();
    let rotator = Rotator::new(&client, &journal, Arc::new(Open));
    let rotate = async |id: &str| {
        let rotated = rotator.rotate(&[id], &RotateOptions::default()).await;
        rotated.unwrap().remove(0)
    };
    let limit = |bytes| {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        setrlimit(Resource::Fsize, limit).unwrap();
    };
    // The first line fits, the second does not.
    limit(Some(300));
    let failed = rotate(text("first")).await;
    let error = failed.error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Local);
    assert!(error.message().contains("cannot be written"), "{error}");
    assert_eq!(failed.state, Some(RotationState::Intended));
    assert!(failed.new_id.is_some(), "what was made is named");
    limit(None);
    assert!(rotate(text("second")).await.error.is_none());
    println!("\nas it should");
}

#[tokio::test]
async fn a_disk_that_was_full_for_a_while_leaves_a_journal_that_is_resumed() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let path = scratch("full").join("journal");
    let mut old = Vec::new();
    for _ in 0..2 {
        old.push(client.add_token(&NewToken::new()).await.unwrap().id);
    }
    let orders = json!({
        "url": sandbox.service_url(),
        "partner": sandbox.partner_id(),
        "secret": sandbox.admin_secret(),
        "journal": path,
        "first": old[0],
        "second": old[1],
    });
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["the_process_whose_disk_is_full_for_a_while", "--exact"])
        .arg("--nocapture")
        .env(ORDERS, orders.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&limited.stdout);
    assert!(said.contains("as it should"), "{limited:?}");

    let journal = Journal::open(&path).unwrap();
    let resumed = Rotator::new(&client, &journal, Arc::new(Open))
        .resume(Resume::Finish)
        .await
        .unwrap();
    assert_eq!(resumed.len(), 1);
    assert_eq!(resumed[0].old_id, old[0]);
    assert!(resumed[0].error.is_none(), "{resumed:?}");
    assert_eq!(
        sandbox.token_count(sandbox.partner_id()),
        4,
        "found again and not created twice"
    );
}
