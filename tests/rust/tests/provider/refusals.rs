//! Sessions that the API refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::stub::{Stub, exception};
use crate::virtual_time::{EPOCH, VirtualClock};
use crate::world::{Changing, ID, pass, provider_on, scratch, seconds, settle, source, world};
use kaltura_app_token::{
    ApiError, CachedSession, Clock, ErrorKind, KsFailure, NewToken, Secret, Session, SessionKey,
    SessionProvider, TokenSource,
};
use kaltura_e2e::{admin, arrived, builder, integrator, sandbox};
use kaltura_sandbox::Sandbox;

#[tokio::test(start_paused = true)]
async fn an_old_refusal_does_not_hide_why_a_session_cannot_be_had_now() {
    let clock = VirtualClock::new(0);
    let broken = Arc::new(AtomicBool::new(false));
    let (time, is_broken) = (clock.clone(), Arc::clone(&broken));
    let stub = Stub::new(move |_| {
        if is_broken.load(Ordering::SeqCst) {
            return exception("APP_TOKEN_NOT_ACTIVE");
        }
        let now = time.unix_now();
        format!(
            r#"{{"ks":"djJ8-session-of-the-stub-{}","expiry":{}}}"#,
            now.as_millis(),
            now.as_secs() + 600
        )
    });
    let provider = SessionProvider::new(stub.client(&clock), source());
    let key = SessionKey::new();
    let session = provider.get(&key).await.unwrap();
    pass(seconds(1)).await;
    provider.reject(&session, KsFailure::Expired).await.unwrap();
    broken.store(true, Ordering::SeqCst);
    pass(seconds(598)).await;
    provider.get(&key).await.unwrap();
    pass(seconds(2)).await;
    provider.get(&key).await.unwrap_err();
    let error = provider.get(&key).await.unwrap_err();
    assert_eq!(error.code(), Some("APP_TOKEN_NOT_ACTIVE"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_session_is_replaced_only_where_that_helps() {
    for (reason, helps) in [
        (KsFailure::Expired, true),
        (KsFailure::ActionsLimit, true),
        (KsFailure::LoggedOut, false),
        (KsFailure::RestrictedIp, false),
        (KsFailure::RestrictedUri, false),
        (KsFailure::NotAccepted, false),
    ] {
        let (stub, _, provider) = world();
        let session = provider.get(&SessionKey::new()).await.unwrap();
        let replaced = provider.reject(&session, reason).await;
        assert_eq!(stub.exchanges(), 1 + usize::from(helps), "{reason:?}");
        match replaced {
            Ok(new) => assert!(helps && new != session, "{reason:?}"),
            Err(error) => {
                assert!(!helps, "{reason:?}");
                assert_eq!(error.api().unwrap().ks_failure(), Some(reason));
                assert!(error.hint().is_some());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_current_session_can_be_rejected() {
    let (stub, _, provider) = world();
    let key = SessionKey::new();
    let old = provider.get(&key).await.unwrap();
    let mut callers = Vec::new();
    for _ in 0..20 {
        let (provider, old) = (provider.clone(), old.clone());
        let reject = async move { provider.reject(&old, KsFailure::Expired).await.unwrap() };
        callers.push(tokio::spawn(reject));
    }
    let new = provider.reject(&old, KsFailure::Expired).await.unwrap();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), new, "twenty complaints are one");
    }
    assert_eq!(
        provider.reject(&old, KsFailure::LoggedOut).await.unwrap(),
        new
    );
    assert_eq!(provider.get(&key).await.unwrap(), new);
    assert_eq!(stub.exchanges(), 2);

    let foreign = CachedSession::new("ks", ID, EPOCH, EPOCH + 60).session;
    let error = provider
        .reject(&foreign, KsFailure::Expired)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_rejected_is_not_handed_out_to_those_who_still_wait_for_it() {
    let (stub, _, provider) = world();
    stub.close();
    let callers: Vec<_> = (0..5)
        .map(|_| {
            let provider = provider.clone();
            tokio::spawn(async move {
                let session = provider.get(&SessionKey::new()).await.unwrap();
                let new = provider.reject(&session, KsFailure::Expired).await;
                assert_ne!(new.unwrap(), session);
            })
        })
        .collect();
    settle().await;
    stub.open();
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn replacements_that_are_refused_as_well_are_minted_ever_more_rarely() {
    // A minute each in the end, or three quarters of one.
    for (reason, at_most) in [(KsFailure::Expired, 24), (KsFailure::LoggedOut, 17)] {
        let (stub, _, provider) = world();
        // A caller that never gives up: ten calls a second for ten minutes.
        for _ in 0..6000 {
            if let Ok(session) = provider.get(&SessionKey::new()).await {
                let _ = provider.reject(&session, reason).await;
            }
            pass(Duration::from_millis(100)).await;
        }
        assert!(
            stub.exchanges() <= at_most,
            "{reason:?}: {}",
            stub.exchanges()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn refused_sessions_that_no_cache_keeps_any_more_are_replaced_ever_more_rarely_as_well() {
    let (stub, clock, _) = world();
    let provider = SessionProvider::builder(source())
        .capacity(1)
        .build(stub.client(&clock));
    let (refused, other) = (
        SessionKey::new().user_id("refused"),
        SessionKey::new().user_id("other"),
    );
    let mut session = provider.get(&refused).await.unwrap();
    let mut replaced = 0;
    for _ in 0..100 {
        // Takes its place in the cache.
        provider.get(&other).await.unwrap();
        if let Ok(new) = provider.reject(&session, KsFailure::Expired).await {
            session = new;
            replaced += 1;
        }
    }
    assert_eq!(replaced, 1, "at once");
    pass(seconds(2)).await;
    provider.get(&other).await.unwrap();
    let replaced = provider.reject(&session, KsFailure::Expired).await;
    assert_ne!(replaced.unwrap(), session, "after the wait");
}

#[tokio::test(start_paused = true)]
async fn who_refuses_every_session_takes_none_from_those_who_find_them_good() {
    for reason in [KsFailure::Expired, KsFailure::LoggedOut] {
        let (stub, _, provider) = world();
        let mut told_no = 0;
        for _ in 0..6000 {
            let session = provider.get(&SessionKey::new()).await.unwrap();
            told_no += usize::from(provider.reject(&session, reason).await.is_err());
            pass(Duration::from_millis(100)).await;
        }
        println!(
            "{reason:?}: {} minted, {told_no} of 6000 told no",
            stub.exchanges()
        );
        assert!(stub.exchanges() <= 24, "{reason:?}: {}", stub.exchanges());
        assert!(told_no > 5900);
        assert_eq!(provider.stats().refused, 6000);
    }
}

#[tokio::test(start_paused = true)]
async fn two_refusals_that_lie_far_apart_have_nothing_to_do_with_each_other() {
    let (_, _, provider) = world();
    let key = SessionKey::new().duration(seconds(86_400));
    let mut session = provider.get(&key).await.unwrap();
    for _ in 0..5 {
        pass(seconds(3600)).await;
        session = provider.reject(&session, KsFailure::Expired).await.unwrap();
    }
}

/// The sandbox: every session of a token that was ended is refused, later ones too.
#[tokio::test]
async fn a_token_whose_sessions_were_ended_does_not_make_the_provider_loop() {
    let sandbox = sandbox();
    let (client, provider) = provider_on(&sandbox, NewToken::new().session_type(None)).await;
    let key = SessionKey::new();
    let session = provider.get(&key).await.unwrap();
    client.end_session(&session.ks).await.unwrap();
    let before = arrived(&sandbox, "appToken.startSession");
    for _ in 0..100 {
        let Ok(session) = provider.get(&key).await else {
            continue;
        };
        let reason = is_refused(&sandbox, &session).await.expect("it was ended");
        assert_eq!(reason, KsFailure::LoggedOut);
        provider.reject(&session, reason).await.unwrap_err();
    }
    let minted = arrived(&sandbox, "appToken.startSession") - before;
    assert_eq!(
        minted, 1,
        "one more try, in case only that session was ended"
    );
    assert_eq!(arrived(&sandbox, "session.end"), 1, "the one of this test");
}

/// What the API says to a session.
async fn is_refused(sandbox: &Sandbox, session: &Session) -> Option<KsFailure> {
    let client = builder(sandbox).ks(session.ks.clone()).build().unwrap();
    match client.session_info(None).await {
        Err(error) => error.api().and_then(ApiError::ks_failure),
        Ok(_) => None,
    }
}

#[tokio::test]
async fn after_a_rotation_the_new_token_takes_over_when_the_old_ones_sessions_are_refused() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let folder = scratch("takes-over");
    let path = folder.join("token.json");
    let write = |id: &str, token: &Secret| {
        let text = format!(r#"{{"id":"{id}","token":"{}"}}"#, token.reveal());
        std::fs::write(&path, text).unwrap();
    };
    let old = client.add_token(&NewToken::new()).await.unwrap();
    write(&old.id, &old.token.unwrap());
    let provider = SessionProvider::new(integrator(&sandbox), TokenSource::file(&path));
    let session = provider.get(&SessionKey::new()).await.unwrap();

    let new = client.add_token(&NewToken::new()).await.unwrap();
    write(&new.id, &new.token.unwrap());
    client.delete_token(&old.id).await.unwrap();
    assert_eq!(
        provider.get(&SessionKey::new()).await.unwrap(),
        session,
        "nobody told it"
    );
    let replaced = provider
        .reject(&session, KsFailure::LoggedOut)
        .await
        .unwrap();
    assert!(replaced.privileges.unwrap().contains(&new.id));
}

#[tokio::test(start_paused = true)]
async fn while_minting_has_to_wait_the_source_is_asked_once_a_second_at_most() {
    // After a failure, and after replacements were refused.
    for refused in [false, true] {
        let (stub, clock, _) = world();
        let changing = Changing::new(ID, "0123456789abcdef");
        let provider = SessionProvider::new(stub.client(&clock), changing.source());
        let key = SessionKey::new();
        if refused {
            for _ in 0..2 {
                let session = provider.get(&key).await.unwrap();
                let rejected = provider.reject(&session, KsFailure::LoggedOut).await;
                rejected.unwrap_err();
            }
        } else {
            stub.limit_rate("600");
            provider.get(&key).await.unwrap_err();
        }
        let (asked, exchanges) = (changing.asked.load(Ordering::SeqCst), stub.exchanges());
        for _ in 0..1000 {
            match provider.get(&key).await {
                Ok(session) if refused => {
                    let rejected = provider.reject(&session, KsFailure::LoggedOut).await;
                    rejected.unwrap_err();
                }
                outcome => drop(outcome.unwrap_err()),
            }
            pass(Duration::from_millis(10)).await;
        }
        let asked = changing.asked.load(Ordering::SeqCst) - asked;
        assert!((1..=11).contains(&asked), "{asked} times in ten seconds");
        assert_eq!(stub.exchanges(), exchanges);
    }
}
