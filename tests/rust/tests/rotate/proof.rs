//! No old token goes before the new one is shown to be as good.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::forward::Forward;
use crate::tools::{Hands, all, ids, options, scratch};
use kaltura_app_token::{
    Client, ErrorKind, Journal, Ks, KsFields, KsVersion, NewToken, OldToken, RotationState,
    RotationStep, Rotator, Secret, SessionType,
};
use kaltura_e2e::{admin, builder, now, sandbox};
use kaltura_sandbox::Sandbox;
use serde_json::{Value, json};

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
        let hands = Arc::new(Hands::default());
        let rotator = Rotator::new(&client, &journal, hands.clone()).progress(&spoil);
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
        let hands = Arc::new(Hands::default());
        let rotator = Rotator::new(&client, &journal, hands.clone()).progress(&spoil);
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

/// A client that manages tokens with an ADMIN session alone.
fn without_the_secret(sandbox: &Sandbox, server: Forward) -> Client {
    let fields = KsFields {
        partner_id: sandbox.partner_id(),
        user_id: None,
        session_type: SessionType::Admin,
        expiry: now(sandbox) + 3600,
        privileges: "disableentitlement".to_owned(),
        master_partner_id: None,
        additional_data: None,
    };
    let secret = Secret::new(sandbox.admin_secret());
    builder(sandbox)
        .ks(Ks::sign(&fields, &secret, KsVersion::V2).unwrap())
        .transport(Arc::new(server))
        .build()
        .unwrap()
}

/// Some servers forbid `session.get`, and the guide's answer to an exchange is `ks` alone.
#[tokio::test]
async fn what_the_server_does_not_say_is_read_from_the_session_itself_with_the_admin_secret() {
    let sandbox = sandbox();
    let forbidden = json!({"objectType": "KalturaAPIException", "code": "SERVICE_FORBIDDEN",
        "message": "The access to service [session->get] is forbidden"});
    let server = Forward::to(&sandbox).answer(move |action, answer| match action {
        "apptoken.startsession" => only_ks(answer),
        "session.get" => *answer = forbidden.clone(),
        _ => {}
    });
    let client = server.admin(&sandbox);
    let token = NewToken::new().session_privileges("sview:*");
    for wrong in [None, Some(json!({"sessionPrivileges": "sview:*,edit:*"}))] {
        let old = client.add_token(&token).await.unwrap();
        let journal = Journal::open(scratch("opened").join("journal")).unwrap();
        let spoil = |_: &str, step: RotationStep| {
            if let (RotationStep::Unmarked, Some(wrong)) = (step, &wrong) {
                let new = journal.unfinished()[0].new_id.clone().unwrap();
                assert!(sandbox.patch_token(&new, wrong).unwrap());
            }
        };
        let hands = Arc::new(Hands::default());
        let rotated = Rotator::new(&client, &journal, hands.clone())
            .progress(&spoil)
            .rotate(&[&old.id], &options(OldToken::DeleteNow))
            .await
            .unwrap()
            .remove(0);
        match (rotated.error, &wrong) {
            (None, None) => assert!(rotated.old_deleted && hands.taken().len() == 1),
            (Some(error), Some(_)) => {
                assert_eq!(error.kind(), ErrorKind::Unproved, "{error}");
                client.get_token(&old.id).await.expect("it stays");
            }
            other => panic!("{other:?}"),
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
        let client = without_the_secret(&sandbox, server);
        let token = NewToken::new().session_privileges("sview:*");
        let old = client.add_token(&token).await.unwrap();
        let journal = Journal::open(scratch("nothing").join("journal")).unwrap();
        let hands = Arc::new(Hands::default());
        let rotated = Rotator::new(&client, &journal, hands.clone())
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
        assert_eq!(error.kind(), ErrorKind::Unproved);
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
