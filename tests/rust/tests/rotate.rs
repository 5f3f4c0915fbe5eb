//! Replacing tokens: the order of things, what is handed over, and what is left after a crash.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod forward;

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use forward::Forward;
use kaltura_app_token::{
    AppToken, Client, CommandSink, ErrorKind, FileSink, HandOver, HashType, Journal, ListOptions,
    NewToken, OldToken, Resume, RevocationTarget, RotateOptions, Rotated, RotationState,
    RotationStep, Rotator, SessionKey, SessionProvider, SessionRequest, SessionType, Sink,
    TokenFilter, TokenSource, WriterSink, audit, ensure, plan_revocation, revoke,
};
use kaltura_e2e::{admin, arrived, builder, integrator, now, sandbox};
use kaltura_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};

/// A folder of its own for each test.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rotate-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Keeps what it is given.
#[derive(Debug, Default)]
struct Hands(Mutex<Vec<HandOver>>);

impl Sink for Hands {
    fn deliver(&self, handover: &HandOver) -> std::io::Result<()> {
        self.0.lock().unwrap().push(handover.clone());
        Ok(())
    }
}

impl Hands {
    fn taken(&self) -> Vec<HandOver> {
        self.0.lock().unwrap().clone()
    }
}

/// Does not want it.
#[derive(Debug)]
struct Refusing;

impl Sink for Refusing {
    fn deliver(&self, _: &HandOver) -> std::io::Result<()> {
        Err(std::io::Error::other("the vault is sealed"))
    }
}

fn options(old: OldToken) -> RotateOptions {
    let mut options = RotateOptions::default();
    options.old = old;
    options
}

async fn all(client: &Client) -> Vec<AppToken> {
    let mut walk = client.tokens(ListOptions::default());
    let mut tokens = Vec::new();
    while let Some(token) = walk.next_token().await {
        tokens.push(token.unwrap());
    }
    tokens
}

fn ids(tokens: &[AppToken]) -> BTreeSet<String> {
    tokens.iter().map(|token| token.id.clone()).collect()
}

async fn works(client: &Client, handover: &HandOver) {
    let request = SessionRequest::new(&handover.id, handover.token.clone())
        .hash_type(handover.hash_type.clone().unwrap());
    client.start_session(&request).await.unwrap();
}

/// What a token is, without what makes it this one.
fn properties(token: &AppToken) -> AppToken {
    let mut token = token.clone();
    token.id = String::new();
    token.token = None;
    token.created_at = None;
    token.updated_at = None;
    token
}

#[tokio::test]
async fn the_new_token_is_what_the_old_one_was_and_the_old_one_stays() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let folder = scratch("properties");
    for (number, token) in [
        NewToken::new(),
        NewToken::new()
            .hash_type(HashType::Sha512)
            .session_type(SessionType::Admin),
        NewToken::new()
            .session_type(None)
            .session_user_id("alice")
            .description("for Alice "),
        NewToken::new()
            .session_privileges("edit:1_a/1_b,setrole:42,foo")
            .session_duration(Duration::from_secs(1800))
            .expiry(now(&sandbox) + 86_400)
            .description("nightly [export]"),
    ]
    .into_iter()
    .enumerate()
    {
        let old = client.add_token(&token).await.unwrap();
        let journal = Journal::open(folder.join(number.to_string())).unwrap();
        let hands = Hands::default();
        let rotator = Rotator::new(&client, &journal, &hands);
        let rotated = rotator
            .rotate(&[&old.id], &RotateOptions::default())
            .await
            .unwrap();

        let [
            Rotated {
                old_id,
                new_id: Some(new_id),
                error: None,
                finish,
                ..
            },
        ] = rotated.as_slice()
        else {
            panic!("{rotated:?}");
        };
        assert_eq!(*old_id, old.id);
        assert_eq!(
            finish.join(" "),
            format!("kaltura-app-token delete {old_id}")
        );
        let new = client.get_token(new_id).await.unwrap();
        assert_eq!(properties(&new), properties(&old));
        assert_eq!(hands.taken()[0].token, new.token.unwrap());
        works(&client, &hands.taken()[0]).await;
        assert_eq!(client.get_token(&old.id).await.unwrap(), old, "untouched");
    }
}

/// Callers may want to run these in tasks of their own.
#[tokio::test]
async fn the_workflows_can_be_sent_to_another_thread() {
    fn sendable<T: Send>(future: T) -> T {
        future
    }
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let journal = Journal::open(scratch("send").join("journal")).unwrap();
    let hands = Hands::default();
    let rotator = Rotator::new(&client, &journal, &hands);
    let wanted = NewToken::new().description("x");
    let id = sendable(ensure(&client, &wanted)).await.unwrap().token.id;
    sendable(rotator.rotate(&[id.as_str()], &RotateOptions::default()))
        .await
        .unwrap();
    sendable(rotator.resume(Resume::Finish)).await.unwrap();
    sendable(audit(&client, TokenFilter::default()))
        .await
        .unwrap();
    let target = RevocationTarget::Ids(vec![id.clone()]);
    sendable(plan_revocation(&client, &target)).await.unwrap();
    sendable(revoke(&client, &[id], &|_| {})).await;
    let provider = SessionProvider::new(client.clone(), TokenSource::value("1_a", "b"));
    sendable(provider.get(&SessionKey::new()))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn hash_type_and_expiry_can_be_raised_on_the_way() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = NewToken::new()
        .hash_type(HashType::Sha1)
        .expiry(now(&sandbox) + 60);
    let old = client.add_token(&old).await.unwrap();
    let journal = Journal::open(scratch("raised").join("journal")).unwrap();
    let hands = Hands::default();
    let mut options = options(OldToken::DeleteNow);
    options.hash_type = Some(HashType::Sha256);
    options.expiry = Some(now(&sandbox) + 86_400);
    let rotated = Rotator::new(&client, &journal, &hands)
        .rotate(&[old.id], &options)
        .await
        .unwrap();
    assert!(rotated[0].error.is_none() && rotated[0].old_deleted && rotated[0].finish.is_empty());
    let tokens = all(&client).await;
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].hash_type, Some(HashType::Sha256));
    assert_eq!(tokens[0].expiry, options.expiry);
    works(&client, &hands.taken()[0]).await;
}

#[tokio::test]
async fn the_old_token_goes_last_after_the_hand_over_and_another_exchange() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client
        .add_token(&NewToken::new().description("x"))
        .await
        .unwrap();
    sandbox.clear_requests();
    let journal = Journal::open(scratch("order").join("journal")).unwrap();
    let events = Mutex::new(Vec::new());
    let seen = |_: &str, step: RotationStep| {
        let requests = sandbox.requests();
        let written = requests
            .iter()
            .filter(|request| request.action != "get" && !request.action.contains("Widget"));
        let names: Vec<_> = written.map(|request| request.action.clone()).collect();
        events.lock().unwrap().push((step, names));
    };
    let hands = Hands::default();
    let rotator = Rotator::new(&client, &journal, &hands).progress(&seen);
    rotator
        .rotate(&[old.id], &options(OldToken::DeleteNow))
        .await
        .unwrap();

    let events = events.into_inner().unwrap();
    let steps: Vec<_> = events.iter().map(|(step, _)| *step).collect();
    assert_eq!(
        steps,
        RotationStep::ALL[..12],
        "every step once, in its order"
    );
    let so_far: HashMap<_, _> = events.into_iter().collect();
    assert!(
        so_far[&RotationStep::Intended].is_empty(),
        "the intent comes first"
    );
    assert_eq!(so_far[&RotationStep::Created], ["add"]);
    assert_eq!(
        so_far[&RotationStep::Delivered],
        ["add", "update", "startSession", "startSession"]
    );
    assert_eq!(
        so_far[&RotationStep::Deleted],
        [
            "add",
            "update",
            "startSession",
            "startSession",
            "startSession",
            "delete"
        ]
    );
}

#[tokio::test]
async fn the_old_token_can_be_left_some_time() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client.add_token(&NewToken::new()).await.unwrap();
    let journal = Journal::open(scratch("later").join("journal")).unwrap();
    let times = Mutex::new(HashMap::new());
    let seen = |_: &str, step: RotationStep| {
        times.lock().unwrap().insert(step, Instant::now());
    };
    let hands = Hands::default();
    let rotator = Rotator::new(&client, &journal, &hands).progress(&seen);
    let wait = options(OldToken::DeleteAfter(Duration::from_secs(2)));
    let rotated = rotator.rotate(&[&old.id], &wait).await.unwrap();
    assert!(rotated[0].old_deleted);
    let times = times.into_inner().unwrap();
    let left = times[&RotationStep::Deleted] - times[&RotationStep::HandedOver];
    assert!(
        left > Duration::from_millis(900),
        "{left:?}, in whole seconds of the server"
    );
    assert_eq!(all(&client).await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_replaced_is_refused_before_anything_is_begun() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let rows = json!([
        {"id": "0_disabled", "token": "t", "status": 1, "hashType": "SHA256", "createdAt": 1, "updatedAt": 1},
        {"id": "0_zerolife", "token": "t", "status": 2, "hashType": "SHA256", "sessionDuration": 0, "createdAt": 1, "updatedAt": 1},
        {"id": "0_negative", "token": "t", "status": 2, "hashType": "SHA256", "sessionDuration": -5, "createdAt": 1, "updatedAt": 1},
        {"id": "0_zerotime", "token": "t", "status": 2, "hashType": "SHA256", "expiry": 0, "createdAt": 1, "updatedAt": 1},
        {"id": "0_oldexpir", "token": "t", "status": 2, "hashType": "SHA256", "expiry": 1_600_000_000, "createdAt": 1, "updatedAt": 1},
    ]);
    sandbox.add_tokens(sandbox.partner_id(), &rows).unwrap();
    let journal = Journal::open(scratch("refused").join("journal")).unwrap();
    let hands = Hands::default();
    let rotator = Rotator::new(&client, &journal, &hands);
    let ids = [
        "0_disabled",
        "0_zerolife",
        "0_negative",
        "0_zerotime",
        "0_oldexpir",
        "0_nosuchid",
    ];
    let rotated = rotator
        .rotate(&ids, &RotateOptions::default())
        .await
        .unwrap();
    for (rotated, id) in rotated.iter().zip(ids) {
        assert_eq!(rotated.old_id, id);
        assert_eq!(rotated.state, None);
        let error = rotated.error.as_ref().unwrap();
        let expected = if id == "0_nosuchid" {
            ErrorKind::Api
        } else {
            ErrorKind::Config
        };
        assert_eq!(error.kind(), expected, "{id}: {error}");
        if matches!(id, "0_zerolife" | "0_negative") {
            assert!(error.message().contains(id), "{error}");
            assert!(error.message().contains("dead at birth"), "{error}");
            assert!(error.hint().is_some());
        }
    }

    let nobody: [&str; 0] = [];
    assert!(
        rotator
            .rotate(&nobody, &RotateOptions::default())
            .await
            .is_err()
    );
    // The server does not tell small letters from capitals.
    for twice in [["1_a", "1_a"], ["1_a", " 1_A"]] {
        let refused = rotator.rotate(&twice, &RotateOptions::default()).await;
        assert!(refused.unwrap_err().message().contains("twice"));
    }
    let file = FileSink::new(scratch("one-file").join("token.json"));
    let two = Rotator::new(&client, &journal, &file)
        .rotate(&["1_a", "1_b"], &RotateOptions::default())
        .await;
    assert!(two.unwrap_err().hint().unwrap().contains("{id}"));

    assert!(journal.entries().is_empty() && hands.taken().is_empty());
    assert_eq!(arrived(&sandbox, "appToken.add"), 0);
}

#[tokio::test]
async fn tokens_are_handed_over_to_a_writer_a_file_or_a_command() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let folder = scratch("sinks");
    let rotate = async |name: &str, sink: &dyn Sink| {
        let old = client.add_token(&NewToken::new()).await.unwrap().id;
        let journal = Journal::open(folder.join(name)).unwrap();
        let rotator = Rotator::new(&client, &journal, sink);
        let rotated = rotator.rotate(&[&old], &RotateOptions::default()).await;
        let rotated = rotated.unwrap().remove(0);
        (old, rotated)
    };
    let check = |text: &str, (old, rotated): (String, Rotated)| {
        let line: Value = serde_json::from_str(text).unwrap();
        assert_eq!(line["replaces"], old);
        assert_eq!(line["id"], rotated.new_id.unwrap());
        assert_eq!(line["hashType"], "SHA256");
        assert!(text.ends_with('\n') && text.lines().count() == 1);
    };

    let mut written = Vec::new();
    let rotated = rotate("writer", &WriterSink::new(&mut written)).await;
    check(std::str::from_utf8(&written).unwrap(), rotated);

    let path = folder.join("token-{id}.json");
    let (old, rotated) = rotate("file", &FileSink::new(&path)).await;
    let path = folder.join(format!("token-{old}.json"));
    check(&std::fs::read_to_string(&path).unwrap(), (old, rotated));
    assert_eq!(mode(&path), 0o600);
    let leftovers = std::fs::read_dir(&folder).unwrap().filter_map(Result::ok);
    assert!(
        leftovers
            .into_iter()
            .all(|file| !file.file_name().to_string_lossy().contains(".tmp"))
    );
    let provider = SessionProvider::new(integrator(&sandbox), TokenSource::file(&path));
    provider.get(&SessionKey::new()).await.unwrap();

    let taken = folder.join("taken by the command");
    let command = CommandSink::new(
        "sh",
        ["-c".as_ref(), "cat > \"$0\"".as_ref(), taken.as_os_str()],
    );
    let rotated = rotate("command", &command).await;
    check(&std::fs::read_to_string(&taken).unwrap(), rotated);

    for command in [
        CommandSink::new("false", [""; 0]),
        CommandSink::new("/no/such/program", [""; 0]),
    ] {
        let (_, rotated) = rotate("failing", &command).await;
        assert!(
            rotated
                .error
                .unwrap()
                .message()
                .contains("could not be handed over")
        );
        assert_eq!(rotated.state, Some(RotationState::Delivering));
        assert!(rotated.finish.contains(&"--resume".to_owned()));
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_hand_over_that_failed_is_made_again_by_resuming() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client.add_token(&NewToken::new()).await.unwrap();
    let path = scratch("again").join("journal");
    let journal = Journal::open(&path).unwrap();
    let rotated = Rotator::new(&client, &journal, &Refusing)
        .rotate(&[&old.id], &options(OldToken::DeleteNow))
        .await
        .unwrap();
    assert!(
        rotated[0]
            .error
            .as_ref()
            .unwrap()
            .message()
            .contains("the vault is sealed")
    );
    assert_eq!(all(&client).await.len(), 2, "the old one stays");

    let hands = Hands::default();
    let begun_again = Rotator::new(&client, &journal, &hands);
    for id in [old.id.clone(), old.id.to_uppercase()] {
        let refused = begun_again.rotate(&[id], &RotateOptions::default()).await;
        let error = refused.unwrap_err();
        assert!(error.message().contains("not finished"), "{error}");
    }

    drop(journal);
    let journal = Journal::open(&path).unwrap();
    let resumed = Rotator::new(&client, &journal, &hands)
        .resume(Resume::Finish)
        .await
        .unwrap();
    assert!(resumed[0].old_deleted, "{resumed:?}");
    assert_eq!(
        ids(&all(&client).await),
        BTreeSet::from([hands.taken()[0].id.clone()])
    );
    works(&client, &hands.taken()[0]).await;
    assert!(
        Rotator::new(&client, &journal, &hands)
            .resume(Resume::Finish)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_new_token_that_gives_something_else_is_deleted_again() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let folder = scratch("proof");
    for (name, wrong) in [
        ("more", json!({"sessionPrivileges": "sview:*,edit:*"})),
        ("less", json!({"sessionPrivileges": "list:*"})),
        ("another type", json!({"sessionType": 2})),
        ("another user", json!({"sessionUserId": "mallory"})),
        ("another hash", json!({"hashType": "MD5"})),
    ] {
        let old = NewToken::new()
            .session_privileges("sview:*")
            .session_user_id("alice");
        let old = client.add_token(&old).await.unwrap();
        let journal = Journal::open(folder.join(name)).unwrap();
        let spoil = |_: &str, step: RotationStep| {
            if step == RotationStep::Unmarked {
                let new = journal.unfinished()[0].new_id.clone().unwrap();
                assert!(sandbox.patch_token(&new, &wrong).unwrap());
            }
        };
        let hands = Hands::default();
        let rotator = Rotator::new(&client, &journal, &hands).progress(&spoil);
        let rotated = rotator
            .rotate(&[&old.id], &options(OldToken::DeleteNow))
            .await
            .unwrap();
        // The sandbox computes with the patched type, the client with the one that was answered.
        let error = rotated[0].error.as_ref().unwrap();
        if name != "another hash" {
            assert!(error.message().starts_with("not proved"), "{name}: {error}");
        }
        assert_eq!(rotated[0].state, Some(RotationState::Undone), "{name}");
        assert!(hands.taken().is_empty());
        assert_eq!(
            ids(&all(&client).await),
            BTreeSet::from([old.id.clone()]),
            "{name}"
        );
        client.delete_token(&old.id).await.unwrap();
    }
}

/// Leaves of the answers of an action only what the guide shows, which is `ks`.
fn only_ks(answer: &mut Value) {
    if let Some(fields) = answer.as_object_mut() {
        fields.retain(|name, _| name == "ks");
    }
}

#[tokio::test]
async fn what_a_session_gives_is_asked_for_where_the_exchange_does_not_say_it() {
    let sandbox = sandbox();
    let server = Forward::to(&sandbox).answer(|action, answer| {
        if action == "apptoken.startsession" {
            only_ks(answer);
        }
    });
    let client = server.admin(&sandbox);
    let token = NewToken::new().session_privileges("sview:*");
    let folder = scratch("only-ks");
    for (name, wrong) in [
        ("as the old one", None),
        ("more", Some(json!({"sessionPrivileges": "sview:*,edit:*"}))),
        ("another type", Some(json!({"sessionType": 2}))),
    ] {
        let old = client.add_token(&token).await.unwrap();
        let journal = Journal::open(folder.join(name)).unwrap();
        let spoil = |_: &str, step: RotationStep| {
            if let (RotationStep::Unmarked, Some(wrong)) = (step, &wrong) {
                let new = journal.unfinished()[0].new_id.clone().unwrap();
                assert!(sandbox.patch_token(&new, wrong).unwrap());
            }
        };
        let hands = Hands::default();
        let rotator = Rotator::new(&client, &journal, &hands).progress(&spoil);
        let rotated = rotator
            .rotate(&[&old.id], &options(OldToken::DeleteNow))
            .await
            .unwrap();
        match (&rotated[0].error, &wrong) {
            (None, None) => assert_eq!(hands.taken().len(), 1),
            (Some(error), Some(_)) => {
                assert!(error.message().starts_with("not proved"), "{error}");
                assert!(hands.taken().is_empty());
                client.get_token(&old.id).await.expect("it stays");
            }
            _ => panic!("{name}: {rotated:?}"),
        }
    }
}

/// Nothing is not the same as the same.
#[tokio::test]
async fn without_any_word_of_what_a_session_gives_nothing_is_proved() {
    let sandbox = sandbox();
    for (nowhere, is_final) in [
        (
            json!({"sessionType": 0, "userId": "alice", "expiry": 1_900_000_000}),
            true,
        ),
        (
            json!({"privileges": "sview:*", "partnerId": 102, "expiry": 1_900_000_000}),
            true,
        ),
        // Not about a session at all: the next answer may be.
        (json!({}), false),
    ] {
        let server = Forward::to(&sandbox).answer({
            let nowhere = nowhere.clone();
            move |action, answer| match action {
                "apptoken.startsession" => only_ks(answer),
                "session.get" => *answer = nowhere.clone(),
                _ => {}
            }
        });
        let client = server.admin(&sandbox);
        let token = NewToken::new().session_privileges("sview:*");
        let old = client.add_token(&token).await.unwrap();
        let journal = Journal::open(scratch("nothing").join("journal")).unwrap();
        let hands = Hands::default();
        let rotated = Rotator::new(&client, &journal, &hands)
            .rotate(&[&old.id], &options(OldToken::DeleteNow))
            .await
            .unwrap();
        let error = rotated[0]
            .error
            .as_ref()
            .expect("there is nothing to go by");
        assert!(hands.taken().is_empty());
        if !is_final {
            assert_eq!(rotated[0].state, Some(RotationState::Created));
            client.get_token(&old.id).await.unwrap();
            continue;
        }
        assert!(error.message().starts_with("not proved"), "{error}");
        assert!(error.message().contains(&old.id), "{error}");
        assert!(error.hint().is_some());
        assert_eq!(rotated[0].state, Some(RotationState::Undone));
        assert_eq!(
            ids(&all(&client).await),
            BTreeSet::from([old.id.clone()]),
            "{nowhere}"
        );
        client.delete_token(&old.id).await.unwrap();
    }
}

#[tokio::test]
async fn a_creation_in_doubt_is_found_by_its_mark() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let folder = scratch("doubt");

    // The answer is lost: the look-up that follows finds the token.
    let old = client
        .add_token(&NewToken::new().description("a"))
        .await
        .unwrap();
    sandbox.add_fault(Fault::new("appToken.add", FaultKind::Reset).after());
    let journal = Journal::open(folder.join("a")).unwrap();
    let hands = Hands::default();
    let rotated = Rotator::new(&client, &journal, &hands)
        .rotate(&[&old.id], &options(OldToken::DeleteNow))
        .await;
    assert!(rotated.unwrap()[0].error.is_none());
    assert_eq!(all(&client).await.len(), 1);

    // The look-up fails, too: resuming finds it.
    let old = client
        .add_token(&NewToken::new().description("b"))
        .await
        .unwrap();
    sandbox.add_fault(Fault::new("appToken.add", FaultKind::Reset).after());
    sandbox.add_fault(Fault::new("appToken.list", FaultKind::Empty));
    let journal = Journal::open(folder.join("b")).unwrap();
    let rotator = Rotator::new(&client, &journal, &hands);
    let rotated = rotator
        .rotate(&[&old.id], &options(OldToken::DeleteNow))
        .await
        .unwrap();
    assert_eq!(
        rotated[0].error.as_ref().unwrap().kind(),
        ErrorKind::OutcomeUnknown
    );
    assert_eq!(rotated[0].state, Some(RotationState::Intended));
    assert_eq!(all(&client).await.len(), 3);
    let resumed = rotator.resume(Resume::Finish).await.unwrap();
    assert!(resumed[0].old_deleted);
    let left = all(&client).await;
    assert_eq!(left.len(), 2);
    assert!(
        left.iter()
            .any(|token| token.description.as_deref() == Some("b"))
    );
}

#[tokio::test]
async fn a_creation_that_seemed_lost_and_was_not_leaves_nothing_behind() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client.add_token(&NewToken::new()).await.unwrap();
    let journal = Journal::open(scratch("late").join("journal")).unwrap();
    sandbox.add_fault(Fault::new("appToken.add", FaultKind::Reset));
    let hands = Hands::default();
    let rotator = Rotator::new(&client, &journal, &hands);
    let rotated = rotator
        .rotate(&[&old.id], &RotateOptions::default())
        .await
        .unwrap();
    assert_eq!(
        rotated[0].error.as_ref().unwrap().kind(),
        ErrorKind::OutcomeUnknown
    );
    let first_mark = journal.unfinished()[0].rotation.clone();

    // The first request is carried out after all, while the second one is on its way.
    let late = |_: &str, step: RotationStep| {
        if step == RotationStep::Created {
            let row = json!([{"id": "0_latecome", "token": "t", "status": 2, "hashType": "SHA256",
                "createdAt": now(&sandbox), "updatedAt": now(&sandbox), "description": format!("[rotation {first_mark}]")}]);
            sandbox.add_tokens(sandbox.partner_id(), &row).unwrap();
        }
    };
    let resumed = Rotator::new(&client, &journal, &hands)
        .progress(&late)
        .resume(Resume::Finish)
        .await
        .unwrap();
    assert!(resumed[0].error.is_none(), "{resumed:?}");
    assert_eq!(journal.entries()[0].earlier_marks, [first_mark]);
    assert_eq!(
        ids(&all(&client).await),
        BTreeSet::from([old.id, hands.taken()[0].id.clone()])
    );
}

#[tokio::test]
async fn many_tokens_are_replaced_a_few_at_a_time_and_one_failure_stops_no_other() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let mut old = Vec::new();
    for number in 0..12 {
        let token = NewToken::new().description(format!("token {number}"));
        old.push(client.add_token(&token).await.unwrap().id);
    }
    old.insert(5, "0_nosuchid".to_owned());
    let journal = Journal::open(scratch("many").join("journal")).unwrap();
    let (busy, most) = (Mutex::new(BTreeSet::new()), Mutex::new(0));
    let seen = |id: &str, step: RotationStep| {
        let mut busy = busy.lock().unwrap();
        if step == RotationStep::HandedOver {
            busy.remove(id);
        } else if step < RotationStep::HandedOver {
            busy.insert(id.to_owned());
        }
        let mut most = most.lock().unwrap();
        *most = busy.len().max(*most);
    };
    let hands = Hands::default();
    let rotator = Rotator::new(&client, &journal, &hands)
        .concurrency(3)
        .progress(&seen);
    let rotated = rotator
        .rotate(&old, &options(OldToken::DeleteNow))
        .await
        .unwrap();
    let named: Vec<_> = rotated
        .iter()
        .map(|rotated| rotated.old_id.clone())
        .collect();
    assert_eq!(named, old, "in the order in which they were named");
    for rotated in &rotated {
        assert_eq!(
            rotated.old_deleted,
            rotated.old_id != "0_nosuchid",
            "{rotated:?}"
        );
    }
    assert_eq!(*most.lock().unwrap(), 3);
    let new: BTreeSet<_> = hands
        .taken()
        .into_iter()
        .map(|handover| handover.id)
        .collect();
    assert_eq!(ids(&all(&client).await), new);
    assert_eq!(new.len(), 12);
}

#[tokio::test]
async fn the_journal_holds_no_secret_and_survives_a_torn_last_line() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client
        .add_token(&NewToken::new().session_user_id("alice"))
        .await
        .unwrap();
    let path = scratch("journal").join("journal");
    let hands = Hands::default();
    let journal = Journal::open(&path).unwrap();
    let rotated = Rotator::new(&client, &journal, &hands)
        .rotate(&[&old.id], &RotateOptions::default())
        .await;
    assert!(rotated.unwrap()[0].error.is_none());
    assert_eq!(mode(&path), 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    for secret in [
        old.token.unwrap(),
        hands.taken()[0].token.clone(),
        sandbox.admin_secret().into(),
    ] {
        assert!(!text.contains(secret.reveal()));
    }
    assert!(text.contains(&old.id) && text.contains(&hands.taken()[0].id));

    drop(journal);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines.len(),
        6,
        "intended, created, proved, delivering, handed over, done"
    );
    std::fs::write(&path, format!("{}\n{}", lines[0], &lines[1][..20])).unwrap();
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.unfinished()[0].state, RotationState::Intended);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        format!("{}\n", lines[0])
    );

    assert_eq!(
        Journal::open("/no/such/folder/journal").unwrap_err().kind(),
        ErrorKind::Config
    );
}

#[tokio::test]
async fn a_journal_is_resumed_only_for_its_account() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client.add_token(&NewToken::new()).await.unwrap();
    let journal = Journal::open(scratch("account").join("journal")).unwrap();
    let rotator = Rotator::new(&client, &journal, &Refusing);
    rotator
        .rotate(&[old.id], &RotateOptions::default())
        .await
        .unwrap();
    let other = builder(&sandbox)
        .partner_id(9)
        .admin_secret("x")
        .build()
        .unwrap();
    let error = Rotator::new(&other, &journal, &Refusing)
        .resume(Resume::Undo)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// What a process of its own is to do, by way of its environment.
const ORDERS: &str = "KALTURA_ROTATE_ORDERS";

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
    let sink: Box<dyn Sink> = match orders["program"].as_str() {
        Some(program) => Box::new(CommandSink::new("sh", ["-c", program])),
        None => Box::new(FileSink::new(text("sink"))),
    };
    let stop = |_: &str, step: RotationStep| {
        if step.name() == text("stop") {
            println!("\nstopped");
            loop {
                std::thread::park();
            }
        }
    };
    let rotator = Rotator::new(&client, &journal, &*sink).progress(&stop);
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

struct Scene {
    sandbox: Sandbox,
    client: Client,
    old: AppToken,
    folder: PathBuf,
    delete: bool,
    /// What takes the token over in the process that is killed; otherwise a file does.
    program: Option<String>,
}

impl Scene {
    async fn set(name: &str, delete: bool) -> Self {
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
        }
    }

    fn journal(&self) -> Journal {
        Journal::open(self.folder.join("journal")).unwrap()
    }

    fn sink(&self) -> PathBuf {
        self.folder.join("token.json")
    }

    /// Starts the process, kills it at that step, and says whether it came there.
    fn kill_at(&self, stop: &str, resume: bool) -> bool {
        let orders = json!({
            "url": self.sandbox.service_url(),
            "partner": self.sandbox.partner_id(),
            "secret": self.sandbox.admin_secret(),
            "journal": self.folder.join("journal"),
            "sink": self.sink(),
            "program": self.program,
            "id": self.old.id,
            "delete": self.delete,
            "resume": resume,
            "stop": stop,
        });
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["the_process_that_is_killed", "--exact", "--nocapture"])
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
    async fn nothing_is_orphaned(&self, when: &str) {
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

    async fn resume(&self, how: Resume) -> Vec<Rotated> {
        let (journal, sink) = (self.journal(), FileSink::new(self.sink()));
        Rotator::new(&self.client, &journal, &sink)
            .resume(how)
            .await
            .unwrap()
    }

    /// The old token and one new, or only the new; the new one works and is the one in the file.
    async fn is_finished(&self, when: &str) {
        assert!(self.journal().unfinished().is_empty(), "{when}");
        let tokens = all(&self.client).await;
        let new: Vec<_> = tokens
            .iter()
            .filter(|token| token.id != self.old.id)
            .collect();
        assert_eq!(new.len(), 1, "{when}: {tokens:?}");
        assert_eq!(tokens.len(), if self.delete { 1 } else { 2 }, "{when}");
        assert_eq!(properties(new[0]), properties(&self.old), "{when}");
        let provider =
            SessionProvider::new(integrator(&self.sandbox), TokenSource::file(self.sink()));
        let session = provider.get(&SessionKey::new()).await.unwrap();
        assert!(session.privileges.unwrap().contains(&new[0].id), "{when}");
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
                undone.error.unwrap().hint().unwrap().contains("finish"),
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

/// It stored the token and then failed.
#[derive(Debug)]
struct TakesAndFails<'a>(&'a Hands);

impl Sink for TakesAndFails<'_> {
    fn deliver(&self, handover: &HandOver) -> std::io::Result<()> {
        self.0.deliver(handover)?;
        Err(std::io::Error::other("the vault answered too late"))
    }
}

#[tokio::test]
async fn a_hand_over_that_failed_is_undone_only_once_the_new_token_is_gone() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client.add_token(&NewToken::new()).await.unwrap();
    let journal = Journal::open(scratch("took-and-failed").join("journal")).unwrap();
    let hands = Hands::default();
    let sink = TakesAndFails(&hands);
    let rotator = Rotator::new(&client, &journal, &sink);
    rotator
        .rotate(&[&old.id], &options(OldToken::DeleteNow))
        .await
        .unwrap();
    let refused = rotator.resume(Resume::Undo).await.unwrap().remove(0);
    let error = refused.error.unwrap();
    assert!(error.message().contains("may be in use"), "{error}");
    works(&client, &hands.taken()[0]).await;

    // Somebody who knows that nobody uses it has decided.
    client.delete_token(&hands.taken()[0].id).await.unwrap();
    let undone = rotator.resume(Resume::Undo).await.unwrap().remove(0);
    assert_eq!(undone.state, Some(RotationState::Undone), "{undone:?}");
    assert_eq!(ids(&all(&client).await), BTreeSet::from([old.id]));
}

/// It wrote `proved` before the hand-over and nothing until after it.
#[tokio::test]
async fn a_journal_of_the_first_version_is_finished_and_not_undone() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client.add_token(&NewToken::new()).await.unwrap();
    let new = client.add_token(&NewToken::new()).await.unwrap();
    let path = scratch("first-version").join("journal");
    let line = |state: &str| {
        format!(
            "{{\"rotation\":\"00112233445566ff\",\"state\":\"{state}\",\"partnerId\":{},\"oldId\":\"{}\",\
             \"newId\":\"{}\",\"askedAt\":{},\"hashType\":null,\"expiry\":null,\"old\":\"delete\",\"deleteAt\":null}}\n",
            sandbox.partner_id(),
            old.id,
            new.id,
            now(&sandbox)
        )
    };
    std::fs::write(&path, line("created") + &line("proved")).unwrap();
    let journal = Journal::open(&path).unwrap();
    let hands = Hands::default();
    let rotator = Rotator::new(&client, &journal, &hands);
    let refused = rotator.resume(Resume::Undo).await.unwrap().remove(0);
    let error = refused.error.unwrap();
    assert!(error.message().contains("may be in use"), "{error}");
    assert_eq!(all(&client).await.len(), 2);
    rotator.resume(Resume::Finish).await.unwrap();
    assert_eq!(hands.taken()[0].id, new.id);
    assert_eq!(ids(&all(&client).await), BTreeSet::from([new.id]));
}
