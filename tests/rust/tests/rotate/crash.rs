//! What is left when the process is killed, and how it is finished or undone.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::tools::{all, ids, options, properties, scratch};
use kaltura_app_token::{
    AppToken, Client, CommandSink, FileSink, Journal, NewToken, OldToken, Resume, Rotated,
    RotationState, RotationStep, Rotator, SessionKey, SessionProvider, Sink, TokenSource,
    WriterSink,
};
use kaltura_e2e::{admin, integrator, sandbox};
use kaltura_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};

/// What a process of its own is to do, by way of its environment.
pub(crate) const ORDERS: &str = "KALTURA_ROTATE_ORDERS";

/// How the test below is called.
pub(crate) const THE_PROCESS: &str = "crash::the_process_that_is_killed";

/// Not a test by itself: what the tests below start and kill. It stops at the step that it is told,
/// says so, and waits for its end.
#[tokio::test]
async fn the_process_that_is_killed() {
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
    let sink: Arc<dyn Sink> = match orders["program"].as_str() {
        Some(program) => Arc::new(CommandSink::new("sh", ["-c", program])),
        None => match orders["writer"].as_str() {
            Some(file) => Arc::new(WriterSink::new(File::create(file).unwrap())),
            None => Arc::new(FileSink::new(text("sink"))),
        },
    };
    let stop = |_: &str, step: RotationStep| {
        if step.name() == text("stop") {
            println!("\nstopped");
            loop {
                std::thread::park();
            }
        }
    };
    let rotator = Rotator::new(&client, &journal, sink).progress(&stop);
    let old = if orders["delete"] == true {
        OldToken::DeleteNow
    } else {
        OldToken::Keep
    };
    if orders["resume"] == true {
        rotator.resume(Resume::Finish).await.unwrap();
    } else {
        rotator.rotate(&[text("id")], &options(old)).await.unwrap();
    }
}

pub(crate) struct Scene {
    pub(crate) sandbox: Sandbox,
    client: Client,
    old: AppToken,
    pub(crate) folder: PathBuf,
    delete: bool,
    /// What takes the token over in the process that is killed; otherwise a file does.
    pub(crate) program: Option<String>,
    /// Or something to write to.
    pub(crate) writer: Option<PathBuf>,
}

impl Scene {
    pub(crate) async fn set(name: &str, delete: bool) -> Self {
        let sandbox = sandbox();
        let client = admin(&sandbox);
        let token = NewToken::new()
            .description("to be replaced")
            .session_privileges("sview:*");
        let old = client.add_token(&token).await.unwrap();
        Self {
            old,
            client,
            sandbox,
            folder: scratch(name),
            delete,
            program: None,
            writer: None,
        }
    }

    pub(crate) fn journal(&self) -> Journal {
        Journal::open(self.folder.join("journal")).unwrap()
    }

    pub(crate) fn sink(&self) -> PathBuf {
        self.folder.join("token.json")
    }

    pub(crate) fn orders(&self, stop: &str, resume: bool) -> Value {
        json!({
            "url": self.sandbox.service_url(),
            "partner": self.sandbox.partner_id(),
            "secret": self.sandbox.admin_secret(),
            "journal": self.folder.join("journal"),
            "sink": self.sink(),
            "program": self.program,
            "writer": self.writer,
            "id": self.old.id,
            "delete": self.delete,
            "resume": resume,
            "stop": stop,
        })
    }

    /// Starts the process, kills it at that step, and says whether it came there.
    fn kill_at(&self, stop: &str, resume: bool) -> bool {
        let orders = self.orders(stop, resume);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([THE_PROCESS, "--exact", "--nocapture"])
            .env(ORDERS, orders.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let stopped = if stop == "in the middle of the request" {
            while self.sandbox.token_count(self.sandbox.partner_id()) < 2 {
                std::thread::sleep(Duration::from_millis(1));
            }
            true
        } else {
            lines.any(|line| line.unwrap() == "stopped")
        };
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        stopped
    }

    /// Every token but the old one is named in the journal, by its id or by its mark.
    pub(crate) async fn nothing_is_orphaned(&self, when: &str) {
        let entries = self.journal().entries();
        for token in all(&self.client).await {
            let description = token.description.unwrap_or_default();
            let named = entries.iter().any(|entry| {
                entry.old_id == token.id
                    || entry.new_id.as_ref() == Some(&token.id)
                    || description.ends_with(&format!("[rotation {}]", entry.rotation))
            });
            assert!(
                named || token.id == self.old.id,
                "{when}: {} is an orphan",
                token.id
            );
        }
    }

    pub(crate) async fn resume(&self, how: Resume) -> Vec<Rotated> {
        let (journal, sink) = (self.journal(), Arc::new(FileSink::new(self.sink())));
        Rotator::new(&self.client, &journal, sink)
            .resume(how)
            .await
            .unwrap()
    }

    /// The old token and one new, or only the new; the new one works and is the one in the file.
    pub(crate) async fn is_finished(&self, when: &str) {
        assert!(self.journal().unfinished().is_empty(), "{when}");
        let tokens = all(&self.client).await;
        let new: Vec<_> = tokens
            .iter()
            .filter(|token| token.id != self.old.id)
            .collect();
        assert_eq!(new.len(), 1, "{when}: {tokens:?}");
        assert_eq!(tokens.len(), if self.delete { 1 } else { 2 }, "{when}");
        assert_eq!(properties(new[0]), properties(&self.old), "{when}");
        let taken = [self.sink(), self.taken()]
            .into_iter()
            .find(|file| file.exists());
        let source = TokenSource::file(taken.expect("it was handed over"));
        let provider = SessionProvider::new(integrator(&self.sandbox), source);
        let session = provider.get(&SessionKey::new()).await.unwrap();
        assert!(session.privileges.unwrap().contains(&new[0].id), "{when}");
    }

    /// The old token alone, which is what it was.
    pub(crate) async fn is_as_before(&self, when: &str) {
        assert!(self.journal().unfinished().is_empty(), "{when}");
        assert_eq!(all(&self.client).await, [self.old_as_listed()], "{when}");
    }

    fn old_as_listed(&self) -> AppToken {
        let mut old = self.old.clone();
        old.token = None;
        old
    }

    /// What a program or a writer was given in the process that is killed.
    pub(crate) fn taken(&self) -> PathBuf {
        self.folder.join("taken.json")
    }
}

#[tokio::test]
async fn a_rotation_killed_at_any_step_is_finished_by_resuming() {
    for delete in [false, true] {
        let steps = RotationStep::ALL.map(RotationStep::name);
        for stop in steps.into_iter().chain(["in the middle of the request"]) {
            let when = format!("killed when {stop}, delete {delete}");
            let scene =
                Scene::set(&format!("kill-{delete}-{}", stop.replace(' ', "-")), delete).await;
            if stop == "in the middle of the request" {
                let late = FaultKind::Latency { ms: 5000 };
                scene
                    .sandbox
                    .add_fault(Fault::new("appToken.add", late).after());
            }
            let never = stop == "undone" || (!delete && matches!(stop, "verified" | "deleted"));
            assert_eq!(scene.kill_at(stop, false), !never, "{when}");
            scene.nothing_is_orphaned(&when).await;
            let resumed = scene.resume(Resume::Finish).await;
            assert!(
                resumed.iter().all(|rotated| rotated.error.is_none()),
                "{when}: {resumed:?}"
            );
            if stop == "read" {
                assert!(resumed.is_empty(), "nothing was begun");
                assert_eq!(all(&scene.client).await.len(), 1);
            } else {
                scene.is_finished(&when).await;
            }
        }
    }
}

#[tokio::test]
async fn a_rotation_killed_again_and_again_while_it_is_resumed_comes_to_its_end() {
    let scene = Scene::set("kill-again", true).await;
    let mut resume = false;
    for step in &RotationStep::ALL[1..11] {
        assert!(scene.kill_at(step.name(), resume), "{step:?}");
        scene.nothing_is_orphaned(step.name()).await;
        // What is in the journal is not done twice, so the next process stops at the next step.
        resume = true;
        if *step == RotationStep::Intended {
            assert_eq!(
                scene.journal().unfinished()[0].state,
                RotationState::Intended
            );
        }
    }
    scene.resume(Resume::Finish).await;
    scene.is_finished("at last").await;
}

#[tokio::test]
async fn a_rotation_killed_before_its_hand_over_can_be_undone() {
    for step in &RotationStep::ALL[1..11] {
        let name = step.name();
        let scene = Scene::set(&format!("undo-{}", name.replace(' ', "-")), true).await;
        assert!(scene.kill_at(name, false));
        let undone = scene.resume(Resume::Undo).await.remove(0);
        if *step < RotationStep::Delivering {
            assert_eq!(
                undone.state,
                Some(RotationState::Undone),
                "{name}: {undone:?}"
            );
            assert_eq!(
                ids(&all(&scene.client).await),
                BTreeSet::from([scene.old.id.clone()]),
                "{name}"
            );
            assert!(scene.resume(Resume::Finish).await.is_empty(), "{name}");
        } else {
            assert!(
                undone
                    .error
                    .unwrap()
                    .hint()
                    .unwrap()
                    .text()
                    .contains("finish"),
                "{name}"
            );
            scene.resume(Resume::Finish).await;
            scene.is_finished(name).await;
        }
    }
}

/// Whoever took the token over works with it, whatever happened to the rotation at that moment.
#[tokio::test]
async fn what_a_program_took_before_the_crash_is_never_deleted() {
    for how in [Resume::Undo, Resume::Finish] {
        let mut scene = Scene::set(&format!("consumer-{how:?}"), false).await;
        let taken = scene.folder.join("consumer.json");
        scene.program = Some(format!("cat > '{}'; kill -9 $PPID", taken.display()));
        assert!(!scene.kill_at("never", false));

        let resumed = scene.resume(how).await.remove(0);
        let provider = SessionProvider::new(integrator(&scene.sandbox), TokenSource::file(&taken));
        provider.get(&SessionKey::new()).await.unwrap();
        if how == Resume::Undo {
            let error = resumed.error.unwrap();
            assert!(error.message().contains("may be in use"), "{error}");
            assert_eq!(resumed.state, Some(RotationState::Delivering));
            scene.resume(Resume::Finish).await;
        }
        scene.is_finished("taken").await;
        let handed: Value = serde_json::from_slice(&std::fs::read(&taken).unwrap()).unwrap();
        assert_eq!(handed["id"], resumed.new_id.unwrap());
    }
}
