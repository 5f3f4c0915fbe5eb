//! A rotation that is killed after each single system call that writes: to the disk, to a pipe, to the
//! server. strace finds the calls and stops the process at each; nothing is simulated.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kaltura_app_token::{HashType, Resume, RotationState, SessionRequest};
use kaltura_e2e::integrator;
use serde_json::Value;

use crate::crash::{ORDERS, Scene, THE_PROCESS};

/// What changes something outside of the process. `openat` counts where it may create a file.
const CALLS: &str = "write,pwrite64,writev,sendto,sendmsg,fsync,fdatasync,ftruncate,rename,renameat,\
                     renameat2,link,linkat,unlink,unlinkat,openat";

/// How the new token is handed over, and the least number of writing calls of such a rotation: as many as
/// there are when nothing stops it.
///
/// Of these the journal makes 14 (it is created, its directory is synced, each of its six lines is written
/// and synced), a file 5 (created, written, synced, renamed, its directory synced), a program and a writer
/// one each, and the requests the others. Fewer mean that something is no longer on disk when it has to
/// be, or that the test has gone blind.
const SINKS: [(&str, usize); 3] = [("file", 30), ("program", 26), ("writer", 27)];

/// Set to anything, every call is tried with both ways of going on; otherwise with one of them in turn.
const LONG: &str = "KALTURA_TEST_LONG";

fn strace_works() -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "true"]);
    let works = strace.output().is_ok_and(|output| output.status.success());
    assert!(
        works || std::env::var_os("CI").is_none(),
        "strace is missing or may not trace"
    );
    works
}

fn send(signal: &str, process: &str) {
    let mut kill = Command::new("kill");
    // It may be gone already.
    let _ = kill
        .args([signal, process])
        .stderr(Stdio::null())
        .status()
        .unwrap();
}

/// The process that a thread belongs to.
fn process_of(thread: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    Some(line?.trim().to_owned())
}

impl Scene {
    fn set_sink(&mut self, sink: &str) {
        let taken = self.taken();
        match sink {
            "program" => {
                let (part, whole) = (taken.with_extension("part"), taken.display());
                let part = part.display();
                self.program = Some(format!("cat > '{part}' && mv '{part}' '{whole}'"));
            }
            "writer" => self.writer = Some(taken),
            _ => {}
        }
    }

    /// The process that rotates, with strace telling of its writing calls.
    fn traced(&self, more: &[&str]) -> Child {
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-y", "-qq", "-s", "0", "-o", "/dev/stdout", "-e"])
            .arg(format!("trace={CALLS}"))
            .args(more)
            .args(["sh", "-c", "exec \"$0\" \"$@\" > /dev/null 2>&1"])
            .arg(std::env::current_exe().unwrap())
            .args([THE_PROCESS, "--exact", "--nocapture"])
            .env(ORDERS, self.orders("never", false).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Lets the process rotate, and says how many writing calls there were.
    fn count(&self) -> usize {
        let output = self.traced(&[]).wait_with_output().unwrap();
        let folder = format!("{}/", self.folder.display());
        let taken = self.taken().with_extension("");
        // What the program does with the token is not ours.
        let theirs = self.program.as_ref().map(|_| taken.display().to_string());
        let said = String::from_utf8(output.stdout).unwrap();
        let calls = said.lines().filter_map(|line| line.split_once(' '));
        let calls = calls.map(|(_, call)| call.trim_start());
        calls
            .filter(|call| !call.starts_with("<... ") && !call.starts_with("---"))
            .filter(|call| writes(call, &folder))
            .filter(|call| theirs.as_ref().is_none_or(|theirs| !call.contains(theirs)))
            .count()
    }

    /// Lets the process rotate, kills it after so many writing calls, and says how many it saw: those at
    /// the same moment are seen as one.
    fn kill_after(&self, calls: usize) -> usize {
        let mut child = self.traced(&["-e", &format!("inject={CALLS}:signal=STOP")]);
        let output = BufReader::new(child.stdout.take().unwrap());
        let folder = format!("{}/", self.folder.display());
        let (mut main, mut last, mut seen) = (None, HashMap::new(), 0);
        for line in output.lines() {
            let line = line.unwrap();
            let Some((thread, said)) = line.split_once(' ') else {
                continue;
            };
            let said = said.trim_start();
            let main = main.get_or_insert_with(|| thread.to_owned());
            if !said.starts_with("--- SIGSTOP ") {
                // The end of a call that other threads' came in between of says nothing more.
                if !said.starts_with("<... ") {
                    last.insert(thread.to_owned(), said.to_owned());
                }
                continue;
            }
            let Some(process) = process_of(thread) else {
                continue;
            };
            let call = last.get(thread).map_or("", String::as_str);
            let is_ours = process == *main && writes(call, &folder);
            seen += usize::from(is_ours);
            if is_ours && seen == calls {
                send("-KILL", &process);
            } else {
                send("-CONT", &process);
            }
        }
        child.wait().unwrap();
        let main = main.expect("it was started");
        while Path::new("/proc").join(&main).exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        seen
    }

    /// What whoever was to take the new token has.
    fn delivered(&self) -> Option<Value> {
        let file = if self.program.is_some() || self.writer.is_some() {
            self.taken()
        } else {
            self.sink()
        };
        let text = std::fs::read_to_string(file).ok()?;
        // A writer that was killed may have written nothing yet; half a line is nobody's token.
        let line = text.lines().last()?;
        Some(serde_json::from_str(line).expect("never half a token"))
    }

    async fn works(&self, delivered: &Value, when: &str) {
        let text = |name: &str| delivered[name].as_str().unwrap();
        let request = SessionRequest::new(text("id"), text("token"))
            .hash_type(HashType::from(text("hashType")));
        let session = integrator(&self.sandbox).start_session(&request).await;
        session.unwrap_or_else(|error| panic!("{when}: what was delivered is dead: {error}"));
    }
}

/// Whether a call, as strace shows it, changes something of this rotation's or on the wire.
fn writes(call: &str, folder: &str) -> bool {
    let what = call.split(" = ").next().unwrap_or_default();
    let is_file = what.contains(&format!("<{folder}"))
        || what.contains(&format!("\"{folder}"))
        || what.contains(&format!("<{}>", folder.trim_end_matches('/')));
    if what.starts_with("openat(") {
        return is_file && what.contains("O_CREAT");
    }
    is_file || what.contains("<pipe:") || what.contains("<socket:") || what.contains("<TCP")
}

#[tokio::test]
async fn a_rotation_killed_after_any_system_call_that_writes_loses_nothing() {
    if !strace_works() {
        eprintln!("SKIPPED: strace is missing or may not trace: no rotation was killed");
        return;
    }
    for (sink, at_least) in SINKS {
        let mut scene = Scene::set(&format!("every-{sink}-count"), true).await;
        scene.set_sink(sink);
        let there = scene.count();
        println!("{sink}: {there} system calls that write");
        assert!(there >= at_least, "{sink}: {there} calls, not {at_least}");

        let mut scene = Scene::set(&format!("every-{sink}-all"), true).await;
        scene.set_sink(sink);
        let all = scene.kill_after(usize::MAX);
        scene
            .works(&scene.delivered().unwrap(), "undisturbed")
            .await;

        let both = [Resume::Finish, Resume::Undo];
        for call in 1..=all {
            for (turn, how) in both.into_iter().enumerate() {
                if std::env::var_os(LONG).is_some() || call % 2 == turn {
                    killed_after(call, how, sink).await;
                }
            }
        }
    }
}

async fn killed_after(call: usize, how: Resume, sink: &str) {
    let when = format!("{sink}, killed after call {call}, {how:?}");
    let mut scene = Scene::set(&format!("every-{sink}-{call}-{how:?}"), true).await;
    scene.set_sink(sink);
    scene.kill_after(call);
    let delivered = scene.delivered();
    if let Some(delivered) = &delivered {
        scene.works(delivered, &when).await;
    }
    scene.nothing_is_orphaned(&when).await;

    let begun = !scene.journal().entries().is_empty();
    let resumed = scene.resume(how).await;
    let undone = resumed
        .iter()
        .any(|rotated| rotated.state == Some(RotationState::Undone));
    match how {
        Resume::Finish => assert!(
            resumed.iter().all(|rotated| rotated.error.is_none()),
            "{when}: {resumed:?}"
        ),
        Resume::Undo if !undone => {
            let again = scene.resume(Resume::Finish).await;
            let is_finished = again.iter().all(|rotated| rotated.error.is_none());
            assert!(is_finished, "{when}: {again:?}");
        }
        Resume::Undo => assert_eq!(delivered, None, "{when}: deleted what was delivered"),
    }
    if begun && !undone {
        scene.is_finished(&when).await;
    } else {
        scene.is_as_before(&when).await;
    }
    if let Some(delivered) = &delivered {
        scene.works(delivered, &when).await;
    }
    let left = std::fs::read_dir(&scene.folder).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    let is_temporary = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".tmp");
    assert!(!left.iter().any(is_temporary), "{when}: {left:?}");
    std::fs::remove_dir_all(&scene.folder).unwrap();
}
