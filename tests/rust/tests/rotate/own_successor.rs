//! A server, or a journal, that names a token as its own successor, and answers that change after the proof.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kaltura_app_token::{ErrorKind, Journal, NewToken, OldToken, Rotator};
use kaltura_e2e::{admin, sandbox};
use serde_json::json;

use crate::forward::Forward;
use crate::tools::{Hands, options, scratch};

#[tokio::test]
async fn a_creation_that_is_answered_with_the_old_token_deletes_and_delivers_nothing() {
    for old in [OldToken::Keep, OldToken::DeleteNow] {
        let sandbox = sandbox();
        let token = admin(&sandbox).add_token(&NewToken::new()).await.unwrap();
        let (id, value) = (token.id.clone(), token.token.clone().unwrap());
        let client = Forward::to(&sandbox)
            .answer(move |action, answer| {
                if action == "apptoken.add" {
                    answer["id"] = json!(id);
                    answer["token"] = json!(value.reveal());
                }
            })
            .admin(&sandbox);
        let journal = Journal::open(scratch("own-successor").join("journal")).unwrap();
        let hands = Arc::new(Hands::default());
        let rotator = Rotator::new(&client, &journal, hands.clone());
        let rotated = rotator.rotate(&[&token.id], &options(old)).await.unwrap();
        let error = rotated[0].error.as_ref().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unproved, "{error}");
        assert!(hands.taken().is_empty());
        assert!(
            admin(&sandbox).get_token(&token.id).await.is_ok(),
            "{old:?}"
        );
    }
}

#[tokio::test]
async fn a_journal_that_names_a_token_as_its_own_successor_is_none() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let token = client.add_token(&NewToken::new()).await.unwrap();
    let path = scratch("names-itself").join("journal");
    let journal = Journal::open(&path).unwrap();
    let hands = Arc::new(Hands::default());
    let rotator = Rotator::new(&client, &journal, hands.clone());
    rotator
        .rotate(&[&token.id], &options(OldToken::Keep))
        .await
        .unwrap();
    let new_id = hands.taken()[0].id.clone();
    drop(journal);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().take(2).collect();
    std::fs::write(
        &path,
        format!("{}\n", lines.join("\n")).replace(&new_id, &token.id),
    )
    .unwrap();
    let refused = Journal::open(&path);
    assert!(refused.is_err(), "{refused:?}");
    assert!(client.get_token(&token.id).await.is_ok());
}

#[tokio::test]
async fn what_is_handed_over_is_what_was_proved() {
    let sandbox = sandbox();
    let token = admin(&sandbox).add_token(&NewToken::new()).await.unwrap();
    let (new, proved) = (
        Arc::new(std::sync::Mutex::new(String::new())),
        Arc::new(AtomicBool::new(false)),
    );
    let (seen, is_proved, old_id) = (new.clone(), proved.clone(), token.id.clone());
    // Once the new token has been exchanged, its value is another one in every answer.
    let client = Forward::to(&sandbox)
        .answer(move |action, answer| match action {
            "apptoken.add" => *seen.lock().unwrap() = answer["id"].as_str().unwrap().to_owned(),
            "apptoken.startsession" => {
                let privileges = answer["privileges"].as_str().unwrap_or_default();
                if privileges.contains(&*seen.lock().unwrap()) {
                    is_proved.store(true, Ordering::SeqCst);
                }
            }
            "apptoken.get" if is_proved.load(Ordering::SeqCst) && answer["id"] != json!(old_id) => {
                answer["token"] = json!("another-value");
            }
            _ => {}
        })
        .admin(&sandbox);
    let folder = scratch("as-proved");
    let journal = Journal::open(folder.join("journal")).unwrap();
    let hands = Arc::new(Hands::default());
    let rotator = Rotator::new(&client, &journal, hands.clone());
    let rotated = rotator
        .rotate(&[&token.id], &options(OldToken::Keep))
        .await
        .unwrap();
    assert!(rotated[0].error.is_none(), "{rotated:?}");
    assert!(proved.load(Ordering::SeqCst));
    let value = hands.taken()[0].token.clone();
    let new_id = new.lock().unwrap().clone();
    let there = admin(&sandbox).get_token(&new_id).await.unwrap();
    assert_eq!(there.token, Some(value));
}
