//! What is handed over to whom, and what follows when that fails.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::tools::{Hands, Refusing, all, ids, mode, options, scratch, works};
use kaltura_app_token::{
    Cancel, CommandSink, ErrorKind, FileSink, HandOver, Journal, NewToken, OldToken, Resume,
    RotateOptions, Rotated, RotationState, Rotator, SessionKey, SessionProvider, Sink, TokenSource,
    WayOut, WriterSink,
};
use kaltura_e2e::{admin, integrator, sandbox};
use kaltura_sandbox::{Fault, FaultKind};
use serde_json::Value;

#[tokio::test]
async fn tokens_are_handed_over_to_a_writer_a_file_or_a_command() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let folder = scratch("sinks");
    let rotate = async |name: &str, sink: Arc<dyn Sink>| {
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

    let path = folder.join("written");
    let sink = WriterSink::new(File::create(&path).unwrap());
    let rotated = rotate("writer", Arc::new(sink)).await;
    check(&std::fs::read_to_string(&path).unwrap(), rotated);

    let path = folder.join("token-{id}.json");
    let (old, rotated) = rotate("file", Arc::new(FileSink::new(&path))).await;
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
    let rotated = rotate("command", Arc::new(command)).await;
    check(&std::fs::read_to_string(&taken).unwrap(), rotated);

    for command in [
        CommandSink::new("false", [""; 0]),
        CommandSink::new("/no/such/program", [""; 0]),
    ] {
        let (_, rotated) = rotate("failing", Arc::new(command)).await;
        assert!(
            rotated
                .error
                .unwrap()
                .message()
                .contains("could not be handed over")
        );
        assert_eq!(rotated.state, Some(RotationState::Delivering));
        assert_eq!(rotated.ways_out, [WayOut::Resume, WayOut::DeleteNewAndUndo]);
    }
}

#[tokio::test]
async fn a_hand_over_that_failed_is_made_again_by_resuming() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let old = client.add_token(&NewToken::new()).await.unwrap();
    let path = scratch("again").join("journal");
    let journal = Journal::open(&path).unwrap();
    let rotated = Rotator::new(&client, &journal, Arc::new(Refusing))
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

    let hands = Arc::new(Hands::default());
    let begun_again = Rotator::new(&client, &journal, hands.clone());
    for id in [old.id.clone(), old.id.to_uppercase()] {
        let refused = begun_again.rotate(&[id], &RotateOptions::default()).await;
        let error = refused.unwrap_err();
        assert!(error.message().contains("not finished"), "{error}");
    }

    drop(journal);
    let journal = Journal::open(&path).unwrap();
    let resumed = Rotator::new(&client, &journal, hands.clone())
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
        Rotator::new(&client, &journal, hands.clone())
            .resume(Resume::Finish)
            .await
            .unwrap()
            .is_empty()
    );
}

/// It stored the token and then failed.
#[derive(Debug)]
struct TakesAndFails(Arc<Hands>);

impl Sink for TakesAndFails {
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
    let hands = Arc::new(Hands::default());
    let sink = Arc::new(TakesAndFails(hands.clone()));
    let rotator = Rotator::new(&client, &journal, sink);
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

/// With many tokens the same answer would be said as many times.
#[tokio::test]
async fn a_reason_that_many_rotations_share_is_said_once_with_every_way_out() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let mut old = Vec::new();
    for _ in 0..5 {
        old.push(client.add_token(&NewToken::new()).await.unwrap().id);
    }
    for _ in 0..4 {
        let code = "SERVICE_FORBIDDEN".to_owned();
        let message = "not for you".to_owned();
        sandbox.add_fault(Fault::new(
            "appToken.add",
            FaultKind::Exception { code, message },
        ));
    }
    let journal = Journal::open(scratch("shared-reason").join("journal")).unwrap();
    let hands = Arc::new(Hands::default());
    let rotator = Rotator::new(&client, &journal, hands).concurrency(1);
    let rotated = rotator
        .rotate(&old, &RotateOptions::default())
        .await
        .unwrap();
    let refusals = Rotated::refusals(&rotated);
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert_eq!(refusals[0].old_ids, old[..4]);
    assert_eq!(refusals[0].ways_out, [WayOut::Resume, WayOut::Undo]);
}

#[tokio::test]
async fn a_token_is_not_handed_over_into_the_journal() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let folder = scratch("into-the-journal");
    let path = folder.join("journal");
    let journal = Journal::open(&path).unwrap();
    let link = folder.join("link");
    std::os::unix::fs::symlink("journal", &link).unwrap();
    let hard = folder.join("hard link");
    std::fs::hard_link(&path, &hard).unwrap();
    for output in [
        path.clone(),
        folder.join("../rotate-into-the-journal/journal"),
        link,
        hard,
    ] {
        let sink = Arc::new(FileSink::new(&output));
        let rotator = Rotator::new(&client, &journal, sink);
        let refused = rotator.rotate(&["1_a"], &RotateOptions::default()).await;
        let error = refused.expect_err(&output.to_string_lossy());
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("same file"), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"");
}

#[derive(Debug)]
struct Slow(Duration);

impl Sink for Slow {
    fn deliver(&self, _: &HandOver) -> std::io::Result<()> {
        std::thread::sleep(self.0);
        Ok(())
    }
}

#[tokio::test]
async fn a_slow_hand_over_holds_up_nobody_and_is_cancelled_at_once() {
    let sandbox = sandbox();
    let cancel = Cancel::new();
    let client = admin(&sandbox).with_cancel(&cancel);
    let old = client.add_token(&NewToken::new()).await.unwrap();
    let journal = Journal::open(scratch("slow").join("journal")).unwrap();
    let rotator = Rotator::new(&client, &journal, Arc::new(Slow(Duration::from_secs(3))));
    let (ids, options) = ([&old.id], RotateOptions::default());
    let began = Instant::now();
    let (rotated, ()) = tokio::join!(rotator.rotate(&ids, &options), async {
        while journal
            .unfinished()
            .first()
            .is_none_or(|entry| entry.state != RotationState::Delivering)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.trigger();
    });
    let rotated = rotated.unwrap().remove(0);
    assert_eq!(rotated.error.unwrap().kind(), ErrorKind::Cancelled);
    assert_eq!(rotated.state, Some(RotationState::Delivering));
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}
