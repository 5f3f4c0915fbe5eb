//! The order of the steps, what the new token is, and what is refused before anything is begun.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::tools::{Hands, all, ids, options, properties, scratch, works};
use kaltura_app_token::{
    ErrorKind, FileSink, HashType, Journal, NewToken, OldToken, Resume, RevocationTarget,
    RotateOptions, Rotated, RotationStep, Rotator, SessionKey, SessionProvider, SessionType,
    TokenFilter, TokenSource, WayOut, audit, ensure, plan_revocation, revoke,
};
use kaltura_e2e::{admin, arrived, now, sandbox};
use serde_json::json;

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
        let hands = Arc::new(Hands::default());
        let rotator = Rotator::new(&client, &journal, hands.clone());
        let rotated = rotator
            .rotate(&[&old.id], &RotateOptions::default())
            .await
            .unwrap();

        let [
            Rotated {
                old_id,
                new_id: Some(new_id),
                error: None,
                ways_out,
                ..
            },
        ] = rotated.as_slice()
        else {
            panic!("{rotated:?}");
        };
        assert_eq!(*old_id, old.id);
        assert_eq!(*ways_out, [WayOut::DeleteOld]);
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
    let hands = Arc::new(Hands::default());
    let rotator = Rotator::new(&client, &journal, hands.clone());
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
    let hands = Arc::new(Hands::default());
    let mut options = options(OldToken::DeleteNow);
    options.hash_type = Some(HashType::Sha256);
    options.expiry = Some(now(&sandbox) + 86_400);
    let rotated = Rotator::new(&client, &journal, hands.clone())
        .rotate(&[old.id], &options)
        .await
        .unwrap();
    assert!(rotated[0].error.is_none() && rotated[0].old_deleted && rotated[0].ways_out.is_empty());
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
    let hands = Arc::new(Hands::default());
    let rotator = Rotator::new(&client, &journal, hands.clone()).progress(&seen);
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
    let hands = Arc::new(Hands::default());
    let rotator = Rotator::new(&client, &journal, hands.clone()).progress(&seen);
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
    let hands = Arc::new(Hands::default());
    let rotator = Rotator::new(&client, &journal, hands.clone());
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
    let file = Arc::new(FileSink::new(scratch("one-file").join("token.json")));
    let two = Rotator::new(&client, &journal, file)
        .rotate(&["1_a", "1_b"], &RotateOptions::default())
        .await;
    assert!(two.unwrap_err().hint().unwrap().text().contains("{id}"));

    assert!(journal.entries().is_empty() && hands.taken().is_empty());
    assert_eq!(arrived(&sandbox, "appToken.add"), 0);
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
    let hands = Arc::new(Hands::default());
    let rotator = Rotator::new(&client, &journal, hands.clone())
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
