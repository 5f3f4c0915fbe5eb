//! Sessions that are kept, renewed in time and given up when they are refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stub;
mod virtual_time;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kaltura_app_token::{
    ApiError, BoxFuture, CachedSession, Cancel, Client, ClientBuilder, Clock, ConnectCause,
    ErrorKind, HashType, KsFailure, MemoryCache, NewToken, Queue, Result, Secret, Session,
    SessionCache, SessionKey, SessionProvider, SessionRequest, TokenCredentials, TokenSource,
    Transport, TransportAnswer, TransportError, TransportRequest, blocking,
};
use kaltura_e2e::{admin, arrived, builder, integrator, sandbox};
use kaltura_sandbox::{Fault, FaultKind, Sandbox};
use stub::{Stub, exception};
use virtual_time::{EPOCH, VirtualClock};

const ID: &str = "0_aaaaaaaa";

fn source() -> TokenSource {
    TokenSource::value(ID, "0123456789abcdef")
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server whose sessions live for as long as they are asked to, and a provider for it.
fn world() -> (Arc<Stub>, VirtualClock, SessionProvider) {
    let clock = VirtualClock::new(0);
    let (time, count) = (clock.clone(), AtomicUsize::new(0));
    let stub = Stub::new(move |params| {
        let life: i64 = params
            .get("expiry")
            .map_or(3600, |expiry| expiry.parse().unwrap());
        let expiry = i64::try_from(time.unix_now().as_secs()).unwrap() + life;
        let number = count.fetch_add(1, Ordering::SeqCst);
        let user = params.get("userId").map_or("", String::as_str);
        format!(
            r#"{{"ks":"djJ8-session-of-the-stub-{number}","expiry":{expiry},"privileges":"","userId":"{user}"}}"#
        )
    });
    let provider = SessionProvider::new(stub.client(&clock), source());
    (stub, clock, provider)
}

/// Lets everything that can go on do so, without moving the clock.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn pass(duration: Duration) {
    tokio::time::advance(duration).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_when_about_a_tenth_of_its_life_is_left_at_most_five_minutes() {
    for (life, margin) in [(10, 1), (30, 3), (600, 60), (3600, 300), (86_400, 300)] {
        let (stub, _, provider) = world();
        let key = SessionKey::new().duration(seconds(life));
        let first = provider.get(&key).await.unwrap();
        pass(Duration::from_millis(1000 * life - 1100 * margin - 10)).await;
        assert_eq!(provider.get(&key).await.unwrap(), first, "{life}");
        assert_eq!(stub.exchanges(), 1, "{life}");
        pass(Duration::from_millis(200 * margin + 20)).await;
        assert_ne!(provider.get(&key).await.unwrap(), first, "{life}");
        assert_eq!(stub.exchanges(), 2, "{life}");
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_for_different_purposes_are_different_sessions() {
    let (stub, _, provider) = world();
    let keys = [
        SessionKey::new(),
        SessionKey::new().user_id("alice"),
        SessionKey::new().user_id("bob"),
        SessionKey::new().user_id("bob").privileges("foo:1"),
        SessionKey::new().duration(seconds(60)),
        SessionKey::new().session_type(kaltura_app_token::SessionType::User),
    ];
    let mut seen = HashSet::new();
    for key in keys.iter().chain(&keys) {
        seen.insert(provider.get(key).await.unwrap().ks.reveal().to_owned());
    }
    assert_eq!((seen.len(), stub.exchanges()), (keys.len(), keys.len()));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_at_once_make_one_exchange() {
    let (stub, _, provider) = world();
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let provider = provider.clone();
            tokio::spawn(async move { provider.get(&SessionKey::new()).await.unwrap() })
        })
        .collect();
    let mut seen = HashSet::new();
    for caller in callers {
        seen.insert(caller.await.unwrap().ks.reveal().to_owned());
    }
    assert_eq!((seen.len(), stub.exchanges()), (1, 1));
    assert!(format!("{provider:?}").contains("under_way: 0"));
}

#[tokio::test(start_paused = true)]
async fn while_the_session_is_good_one_caller_renews_it_and_the_others_go_on() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let old = provider.get(&key).await.unwrap();
    pass(seconds(550)).await;
    stub.close();
    let renews = tokio::spawn({
        let (provider, key) = (provider.clone(), key.clone());
        async move { provider.get(&key).await.unwrap() }
    });
    settle().await;
    for _ in 0..10 {
        assert_eq!(provider.get(&key).await.unwrap(), old);
    }
    stub.open();
    let new = renews.await.unwrap();
    assert_ne!(new, old);
    assert_eq!(provider.get(&key).await.unwrap(), new);
    assert_eq!(stub.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn once_it_has_expired_all_wait_for_one_renewal() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let old = provider.get(&key).await.unwrap();
    pass(seconds(600)).await;
    stub.close();
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let (provider, key) = (provider.clone(), key.clone());
            tokio::spawn(async move { provider.get(&key).await.unwrap() })
        })
        .collect();
    settle().await;
    assert!(callers.iter().all(|caller| !caller.is_finished()));
    stub.open();
    for caller in callers {
        assert_ne!(caller.await.unwrap(), old);
    }
    assert_eq!(stub.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_disturbs_nobody() {
    let (stub, _, provider) = world();
    stub.close();
    let mut callers: Vec<_> = (0..5)
        .map(|_| {
            let provider = provider.clone();
            tokio::spawn(async move { provider.get(&SessionKey::new()).await })
        })
        .collect();
    settle().await;
    // The first began the exchange.
    callers.remove(0).abort();
    settle().await;
    callers.remove(1).abort();
    settle().await;
    stub.open();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(stub.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_everybody_gives_up_the_exchange_is_abandoned_and_the_next_caller_begins_another() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    stub.close();
    let give_up = async |provider: &SessionProvider| {
        let get = provider.get(&key);
        assert!(tokio::time::timeout(seconds(1), get).await.is_err());
    };
    give_up(&provider).await;
    let cancel = Cancel::new();
    let cancelled = tokio::spawn({
        let (provider, key) = (provider.with_cancel(&cancel), key.clone());
        async move { provider.get(&key).await }
    });
    settle().await;
    cancel.trigger();
    let error = cancelled.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let nothing_is_kept = format!("{provider:?}").contains("under_way: 0");
    assert!(nothing_is_kept, "{provider:?}");
    stub.open();
    provider.get(&key).await.unwrap();
    assert_eq!(stub.exchanges(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_keeps_the_session_and_waits_longer_each_time() {
    let clock = VirtualClock::new(0);
    let broken = Arc::new(AtomicBool::new(false));
    let (time, is_broken) = (clock.clone(), Arc::clone(&broken));
    let stub = Stub::new(move |_| {
        if is_broken.load(Ordering::SeqCst) {
            return exception("APP_TOKEN_NOT_ACTIVE");
        }
        let expiry = time.unix_now().as_secs() + 3600;
        format!(r#"{{"ks":"djJ8-session-of-the-stub-{expiry}","expiry":{expiry}}}"#)
    });
    let provider = SessionProvider::new(stub.client(&clock), source());
    let key = SessionKey::new();
    let old = provider.get(&key).await.unwrap();
    pass(seconds(3331)).await;
    broken.store(true, Ordering::SeqCst);

    let mut attempts = Vec::new();
    for tenth in 0..2680 {
        let before = stub.exchanges();
        assert_eq!(provider.get(&key).await.unwrap(), old, "{tenth} / 10 s");
        if stub.exchanges() > before {
            attempts.push(f64::from(tenth) / 10.0);
        }
        pass(Duration::from_millis(100)).await;
    }
    assert_waits(&attempts, &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]);

    pass(seconds(1)).await;
    let before = stub.exchanges();
    let error = provider.get(&key).await.unwrap_err();
    assert_eq!(error.code(), Some("APP_TOKEN_NOT_ACTIVE"), "it has expired");
    assert_eq!(
        stub.exchanges(),
        before + 1,
        "and that alone is worth another try"
    );
    broken.store(false, Ordering::SeqCst);
    provider.get(&key).await.unwrap_err();
    pass(seconds(75)).await;
    assert_ne!(provider.get(&key).await.unwrap(), old);
    assert_eq!(stub.exchanges(), before + 2);
}

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
async fn a_failure_reaches_everybody_who_waits() {
    let clock = VirtualClock::new(0);
    let stub = Stub::new(|_| exception("APP_TOKEN_EXPIRED"));
    let provider = SessionProvider::new(stub.client(&clock), source());
    stub.close();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let provider = provider.clone();
            tokio::spawn(async move { provider.get(&SessionKey::new()).await })
        })
        .collect();
    settle().await;
    stub.open();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Some("APP_TOKEN_EXPIRED"));
    }
    assert_eq!(stub.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_can_ask_for_a_session_that_is_good_for_some_time() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let first = provider.get(&key).await.unwrap();
    pass(seconds(400)).await;
    assert_eq!(provider.get_with(&key, seconds(190)).await.unwrap(), first);
    assert_ne!(provider.get_with(&key, seconds(210)).await.unwrap(), first);
    assert_eq!(stub.exchanges(), 2);

    let too_long = provider.get_with(&key, seconds(601)).await.unwrap_err();
    assert_eq!(too_long.kind(), ErrorKind::Config, "{too_long}");

    // Where the life is the token's, it is known from the first session on.
    let open = SessionKey::new();
    for exchanges in [3, 3, 3] {
        let too_long = provider.get_with(&open, seconds(4000)).await.unwrap_err();
        assert_eq!(too_long.kind(), ErrorKind::Config, "{too_long}");
        assert_eq!(
            stub.exchanges(),
            exchanges,
            "it does not try again and again"
        );
    }
    provider.get_with(&open, seconds(3000)).await.unwrap();
    assert_eq!(stub.exchanges(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_names_no_expiry_counts_from_the_moment_of_asking() {
    for (duration, life) in [(None, 300_u32), (Some(1200), 1200)] {
        let clock = VirtualClock::new(0);
        let stub = Stub::new(|_| r#"{"ks":"djJ8-the-guide-shows-nothing-else"}"#.to_owned());
        let provider = SessionProvider::new(stub.client(&clock), source());
        let mut key = SessionKey::new();
        key.duration = duration.map(seconds);
        let session = provider.get(&key).await.unwrap();
        assert_eq!(session.expiry, Some(EPOCH + i64::from(life)));
        let tenth = u64::from(life) / 10;
        pass(seconds(tenth * 89 / 10 - 1)).await;
        provider.get(&key).await.unwrap();
        assert_eq!(stub.exchanges(), 1);
        pass(seconds(tenth / 5 + 3)).await;
        provider.get(&key).await.unwrap();
        assert_eq!(stub.exchanges(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_that_are_dead_at_birth_are_an_error_and_not_a_loop() {
    let clock = VirtualClock::new(0);
    let stub = Stub::new(|_| format!(r#"{{"ks":"djJ8-session-dead-at-birth","expiry":{EPOCH}}}"#));
    let provider = SessionProvider::new(stub.client(&clock), source());
    let error = provider.get(&SessionKey::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint().unwrap().text().contains("sessionDuration"));
    assert_eq!(stub.exchanges(), 1);
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

async fn provider_on(sandbox: &Sandbox, token: NewToken) -> (Client, SessionProvider) {
    let client = admin(sandbox);
    let token = client.add_token(&token).await.unwrap();
    let source = TokenSource::value(token.id, token.token.unwrap());
    (client, SessionProvider::new(integrator(sandbox), source))
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

#[tokio::test]
async fn expiry_is_judged_by_the_servers_clock() {
    for ahead in [-7200.0, 7200.0] {
        let sandbox = sandbox();
        sandbox.set_clock_offset(ahead);
        let (_, provider) = provider_on(&sandbox, NewToken::new()).await;
        let key = SessionKey::new().duration(seconds(600));
        let session = provider.get(&key).await.unwrap();
        assert_eq!(
            provider.get(&key).await.unwrap(),
            session,
            "not expired: {ahead}"
        );
        assert_eq!(arrived(&sandbox, "appToken.startSession"), 1);
        provider.get_with(&key, seconds(590)).await.unwrap();
        assert_eq!(arrived(&sandbox, "appToken.startSession"), 1);
    }
}

/// The `Date` has whole seconds: the server may be almost one ahead of it.
#[tokio::test(start_paused = true)]
async fn a_session_that_may_have_expired_is_not_handed_out() {
    let clock = VirtualClock::new(0);
    let stub = Stub::new(move |_| {
        format!(
            r#"{{"ks":"djJ8-session-of-the-stub","expiry":{}}}"#,
            EPOCH + 10
        )
    });
    stub.set_date("Fri, 15 Jan 2027 08:00:00 GMT");
    let client = stub.client(&clock);
    let provider = SessionProvider::new(client.clone(), source());
    let key = SessionKey::new();
    provider.get(&key).await.unwrap();
    assert_eq!(client.clock_difference_seconds(), Some(0));
    stub.close();
    pass(Duration::from_millis(8900)).await;
    provider.get(&key).await.unwrap();
    pass(Duration::from_millis(200)).await;
    let waits = || tokio::time::timeout(Duration::from_millis(100), provider.get(&key));
    let (renews, other) = tokio::join!(waits(), waits());
    assert!(renews.is_err() && other.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_of_the_client_is_not_one_of_the_provider() {
    let (stub, clock, _) = world();
    let cancel = Cancel::new();
    let client = stub.client(&clock).with_cancel(&cancel);
    let provider = SessionProvider::new(client, source());
    cancel.trigger();
    provider.get(&SessionKey::new()).await.unwrap();
}

#[tokio::test]
async fn the_hash_type_is_found_out_once_and_only_by_its_own_error() {
    for (hash_type, tries) in [
        (HashType::Sha256, 1),
        (HashType::Sha1, 2),
        (HashType::Sha512, 3),
        (HashType::Md5, 4),
    ] {
        let sandbox = sandbox();
        let token = NewToken::new().hash_type(hash_type.clone());
        let token = admin(&sandbox).add_token(&token).await.unwrap();
        let source = TokenSource::value(&token.id, token.token.unwrap());
        let provider = SessionProvider::builder(source)
            .hash_type(None)
            .build(integrator(&sandbox));
        provider.get(&SessionKey::new()).await.unwrap();
        assert_eq!(
            arrived(&sandbox, "appToken.startSession"),
            tries,
            "{hash_type}"
        );
        provider
            .get(&SessionKey::new().user_id("other"))
            .await
            .unwrap();
        assert_eq!(
            arrived(&sandbox, "appToken.startSession"),
            tries + 1,
            "remembered"
        );

        for code in [
            "APP_TOKEN_EXPIRED",
            "APP_TOKEN_ID_NOT_FOUND",
            "SERVICE_FORBIDDEN",
        ] {
            let (code, message) = (code.to_owned(), String::new());
            let kind = FaultKind::Exception {
                code: code.clone(),
                message,
            };
            sandbox.add_fault(Fault::new("appToken.startSession", kind));
            let before = arrived(&sandbox, "appToken.startSession");
            let error = provider
                .get(&SessionKey::new().user_id(&code))
                .await
                .unwrap_err();
            assert_eq!(error.code(), Some(code.as_str()));
            assert_eq!(arrived(&sandbox, "appToken.startSession"), before + 1);
        }
    }
    let sandbox = sandbox();
    let token = admin(&sandbox).add_token(&NewToken::new()).await.unwrap();
    let wrong = TokenSource::value(&token.id, "not its value");
    let provider = SessionProvider::builder(wrong)
        .hash_type(None)
        .build(integrator(&sandbox));
    let error = provider.get(&SessionKey::new()).await.unwrap_err();
    assert_eq!(error.code(), Some("INVALID_APP_TOKEN_HASH"));
    assert_eq!(arrived(&sandbox, "appToken.startSession"), 4);
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("provider-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn tokens_come_from_values_variables_files_and_functions() {
    let folder = scratch("sources");
    let (json, plain) = (folder.join("token.json"), folder.join("token"));

    let source = TokenSource::file(&json);
    assert_eq!(source.credentials().unwrap_err().kind(), ErrorKind::Config);
    std::fs::write(
        &json,
        r#"{"id":"1_a","token":"first","hashType":"sha512","replaces":"1_z"}"#,
    )
    .unwrap();
    let expected = TokenCredentials::new("1_a", "first").hash_type(HashType::Sha512);
    assert_eq!(source.credentials().unwrap(), expected);
    std::fs::write(&json, r#"{"id":"1_b","token":"second"}"#).unwrap();
    assert_eq!(
        source.credentials().unwrap(),
        TokenCredentials::new("1_b", "second")
    );
    std::fs::write(&json, r#"{"id":"1_b","token":123456789}"#).unwrap();
    let error = source.credentials().unwrap_err();
    assert!(!error.message().contains("123456789"), "{error}");

    std::fs::write(&plain, "value\n").unwrap();
    let source = TokenSource::value_file("1_a", &plain);
    assert_eq!(
        source.credentials().unwrap(),
        TokenCredentials::new("1_a", "value")
    );

    let source = TokenSource::variable("1_a", "PATH");
    assert_eq!(
        source.credentials().unwrap().token.reveal(),
        std::env::var("PATH").unwrap()
    );
    let source = TokenSource::variable("1_a", "KALTURA_E2E_UNSET");
    assert!(
        source
            .credentials()
            .unwrap_err()
            .message()
            .contains("KALTURA_E2E_UNSET")
    );

    let source = TokenSource::callable(|| Ok(TokenCredentials::new("1_c", "called")));
    assert_eq!(
        source.credentials().unwrap(),
        TokenCredentials::new("1_c", "called")
    );
    let source = TokenSource::callable(|| Err("the vault is sealed".into()));
    let error = source.credentials().unwrap_err();
    assert!(error.message().contains("the vault is sealed"));
    assert!(!format!("{:?}", TokenSource::value("1_a", "hidden")).contains("hidden"));
}

#[tokio::test(start_paused = true)]
async fn a_function_is_called_for_every_session_that_is_minted_and_no_other() {
    let (stub, clock, _) = world();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let source = TokenSource::callable(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(TokenCredentials::new(ID, "0123456789abcdef"))
    });
    let provider = SessionProvider::new(stub.client(&clock), source);
    for _ in 0..5 {
        provider.get(&SessionKey::new()).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    pass(seconds(3600)).await;
    provider.get(&SessionKey::new()).await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn of_more_sessions_than_fit_those_asked_for_last_are_kept() {
    let (stub, clock, _) = world();
    let provider = SessionProvider::builder(source())
        .capacity(3)
        .build(stub.client(&clock));
    let key = |name: &str| SessionKey::new().user_id(name);
    for name in ["a", "b", "c", "a", "d"] {
        provider.get(&key(name)).await.unwrap();
    }
    assert_eq!(stub.exchanges(), 4);
    for (name, minted) in [("a", 0), ("c", 0), ("d", 0), ("b", 1), ("a", 1)] {
        let before = stub.exchanges();
        provider.get(&key(name)).await.unwrap();
        assert_eq!(stub.exchanges() - before, minted, "{name}");
    }
}

/// Kilobytes of memory that this process has in use.
fn resident_kilobytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_users_are_served_without_a_stall() {
    const USERS: usize = 100_000;
    let clock = VirtualClock::new(0);
    // As long as real ones are: 280 characters, and the privileges of a usual token.
    let ks = "x".repeat(270);
    let stub = Stub::new(move |params| {
        let user = &params["userId"];
        format!(
            r#"{{"ks":"{ks}{user}","expiry":{},"userId":"{user}","partnerId":"102","sessionType":0,
                "privileges":"sessionid:0_aaaaaaaa,apptoken:0_aaaaaaaa,sview:*,list:*,setrole:42"}}"#,
            EPOCH + 86_400
        )
    });
    let cache = Arc::new(MemoryCache::new(USERS));
    let provider = SessionProvider::builder(source())
        .cache(Arc::clone(&cache) as Arc<dyn SessionCache>)
        .build(stub.client(&clock));
    let key = |user: usize| SessionKey::new().user_id(format!("user-{user:06}"));
    provider.get(&key(0)).await.unwrap();

    let before = resident_kilobytes();
    let mut times = Vec::with_capacity(2 * USERS);
    for round in 0..2 {
        for user in 0..USERS {
            let started = Instant::now();
            provider.get(&key(user)).await.unwrap();
            times.push(started.elapsed());
        }
        assert_eq!(stub.exchanges(), USERS, "round {round}");
    }
    let bytes = (resident_kilobytes() - before) * 1024 / USERS;
    times.sort_unstable();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{bytes} bytes for each session; a get took {median:?}, the longest {longest:?}");
    assert_eq!(cache.len(), USERS);
    assert!(bytes < 2500, "{bytes} bytes for each session");
    assert!(longest < Duration::from_millis(500), "{longest:?}");

    provider
        .get(&SessionKey::new().user_id("one-more"))
        .await
        .unwrap();
    assert_eq!(cache.len(), USERS);
}

/// A cache as two processes could share it: it keeps what a store could keep.
#[derive(Debug, Default)]
struct SharedStore(Mutex<HashMap<SessionKey, (String, String, i64, i64)>>);

impl SessionCache for SharedStore {
    fn get<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            let (ks, token, started, expiry) = self.0.lock().unwrap().get(key)?.clone();
            Some(Arc::new(CachedSession::new(ks, token, started, expiry)))
        })
    }

    fn put<'a>(&'a self, key: &'a SessionKey, cached: Arc<CachedSession>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let row = (
                cached.session.ks.reveal().to_owned(),
                cached.token_id.clone(),
                cached.started_at,
                cached.session.expiry.unwrap(),
            );
            self.0.lock().unwrap().insert(key.clone(), row);
        })
    }

    fn remove<'a>(&'a self, key: &'a SessionKey, ks: &'a Secret) -> BoxFuture<'a, bool> {
        Box::pin(async {
            let mut rows = self.0.lock().unwrap();
            let is_it = rows.get(key).is_some_and(|row| row.0 == ks.reveal());
            is_it && rows.remove(key).is_some()
        })
    }
}

/// A cache that takes its time with what it has read: ten seconds for the first reader.
#[derive(Debug, Default)]
struct SlowCache {
    memory: MemoryCache,
    readers: AtomicUsize,
}

impl SessionCache for SlowCache {
    fn get<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>> {
        Box::pin(async {
            let found = self.memory.get(key).await;
            if self.readers.fetch_add(1, Ordering::SeqCst) == 0 {
                tokio::time::sleep(seconds(10)).await;
            }
            found
        })
    }

    fn put<'a>(&'a self, key: &'a SessionKey, session: Arc<CachedSession>) -> BoxFuture<'a, ()> {
        self.memory.put(key, session)
    }

    fn remove<'a>(&'a self, key: &'a SessionKey, ks: &'a Secret) -> BoxFuture<'a, bool> {
        self.memory.remove(key, ks)
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_minted_while_a_caller_was_looking_is_not_minted_again() {
    let (stub, clock, _) = world();
    let provider = SessionProvider::builder(source())
        .cache(Arc::new(SlowCache::default()))
        .build(stub.client(&clock));
    let key = SessionKey::new();
    let (first, second) = tokio::join!(provider.get(&key), provider.get(&key));
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(stub.exchanges(), 1);
}

#[tokio::test(start_paused = true)]
async fn providers_can_share_a_cache_of_their_own() {
    let (stub, clock, _) = world();
    let store: Arc<dyn SessionCache> = Arc::new(SharedStore::default());
    let builder = SessionProvider::builder(source()).cache(store);
    let here = builder.clone().build(stub.client(&clock));
    let there = builder.build(stub.client(&clock));
    let key = SessionKey::new();
    let session = here.get(&key).await.unwrap();
    assert_eq!(there.get(&key).await.unwrap().ks, session.ks);
    assert_eq!(stub.exchanges(), 1);

    let renewed = there.reject(&session, KsFailure::Expired).await.unwrap();
    assert_eq!(here.get(&key).await.unwrap().ks, renewed.ks);
    assert_eq!(stub.exchanges(), 2);
}

/// The blocking client has no thread of its own: whoever waits drives the exchange, and when that
/// caller is cancelled another takes over.
#[test]
fn threads_share_an_exchange_and_survive_the_cancellation_of_the_one_that_began_it() {
    let sandbox = sandbox();
    let token = admin_blocking(&sandbox)
        .add_token(&NewToken::new())
        .unwrap();
    let client = blocking::Client::new(builder(&sandbox)).unwrap();
    let source = TokenSource::value(&token.id, token.token.unwrap());
    let provider = SessionProvider::new(client.with_client(Client::clone).unwrap(), source);
    sandbox.add_fault(Fault::new(
        "appToken.startSession",
        FaultKind::Latency { ms: 400 },
    ));

    let key = SessionKey::new();
    let get = |cancel: &Cancel, client: &blocking::Client| -> Result<Session> {
        let provider = provider.with_cancel(cancel);
        client.run(cancel, None, async |_| provider.get(&key).await)
    };
    std::thread::scope(|scope| {
        let first = Cancel::new();
        let begun = scope.spawn({
            let (client, first) = (&client, first.clone());
            move || get(&first, client)
        });
        std::thread::sleep(Duration::from_millis(100));
        let others: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| get(&Cancel::new(), &client)))
            .collect();
        std::thread::sleep(Duration::from_millis(100));
        first.trigger();
        assert_eq!(
            begun.join().unwrap().unwrap_err().kind(),
            ErrorKind::Cancelled
        );
        for other in others {
            other.join().unwrap().unwrap();
        }
    });
    assert_eq!(arrived(&sandbox, "appToken.startSession"), 1);
}

fn admin_blocking(sandbox: &Sandbox) -> blocking::Client {
    blocking::Client::new(builder(sandbox).admin_secret(sandbox.admin_secret())).unwrap()
}

#[tokio::test]
async fn a_session_of_the_provider_is_what_an_exchange_gives() {
    let sandbox = sandbox();
    let client = admin(&sandbox);
    let token = client
        .add_token(&NewToken::new().session_privileges("sview:*"))
        .await
        .unwrap();
    let value = token.token.unwrap();
    let key = SessionKey::new()
        .user_id("alice")
        .privileges("foo:1,edit:*")
        .duration(seconds(900));
    let provider = SessionProvider::new(
        integrator(&sandbox),
        TokenSource::value(&token.id, value.clone()),
    );
    let given = provider.get(&key).await.unwrap();
    let request = SessionRequest::new(&token.id, value)
        .user_id("alice")
        .privileges("foo:1,edit:*")
        .expiry(seconds(900));
    let exchanged = client.start_session(&request).await.unwrap();
    assert_eq!(given.user_id, exchanged.user_id);
    assert_eq!(given.privileges, exchanged.privileges);
    assert_eq!(given.dropped_privileges, ["edit:*"]);
    assert!(exchanged.expiry.unwrap() - given.expiry.unwrap() <= 1);
}

/// A day, which is the longest that a server can ask for.
const DAY: u64 = 86_400;

#[tokio::test(start_paused = true)]
async fn no_retry_after_takes_the_provider_down_or_stops_it_for_longer_than_a_day() {
    for (retry_after, longest) in [
        ("18446744073709551615", DAY),
        ("18446744073709551616", DAY),
        ("999999999999999999999999999999", DAY),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
        ("86401", DAY),
        ("600", 600),
        ("-1", 2),
        ("-18446744073709551616", 2),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 2),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 2),
        ("", 2),
        ("soon", 2),
    ] {
        let (stub, _, provider) = world();
        let key = SessionKey::new().duration(seconds(600));
        let old = provider.get(&key).await.unwrap();
        pass(seconds(570)).await;
        stub.limit_rate(retry_after);
        assert_eq!(provider.get(&key).await.unwrap(), old, "{retry_after}");
        assert_eq!(stub.exchanges(), 2, "{retry_after}");

        let nothing_in_hand = SessionKey::new();
        let error = provider.get(&nothing_in_hand).await.unwrap_err();
        assert_eq!(error.http_status(), Some(429), "{retry_after}");
        assert_eq!(stub.exchanges(), 3, "{retry_after}");
        if longest > 2 {
            pass(seconds(longest - 2)).await;
            provider.get(&nothing_in_hand).await.unwrap_err();
            assert_eq!(stub.exchanges(), 3, "{retry_after}");
        }
        pass(seconds(3)).await;
        stub.lift_limit();
        provider.get(&nothing_in_hand).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_session_a_failure_is_told_again_until_it_is_time_for_another_try() {
    let (stub, _, provider) = world();
    stub.limit_rate("600");
    for _ in 0..100 {
        let error = provider.get(&SessionKey::new()).await.unwrap_err();
        assert_eq!(error.http_status(), Some(429));
        pass(seconds(5)).await;
    }
    assert_eq!(stub.exchanges(), 1, "100 calls in 500 seconds");
    let error = provider.get(&SessionKey::new()).await.unwrap_err();
    let hint = error.hint().unwrap().text();
    assert!(hint.contains("100 s"), "when the next try is: {hint}");

    stub.lift_limit();
    pass(seconds(99)).await;
    provider.get(&SessionKey::new()).await.unwrap_err();
    pass(seconds(1)).await;
    provider.get(&SessionKey::new()).await.unwrap();
    assert_eq!(stub.exchanges(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_gone_is_tried_ever_more_rarely_and_found_again_within_75_seconds() {
    let clock = VirtualClock::new(0);
    let gone = Arc::new(AtomicBool::new(true));
    let (time, is_gone) = (clock.clone(), Arc::clone(&gone));
    let stub = Stub::new(move |_| {
        if is_gone.load(Ordering::SeqCst) {
            return exception("APP_TOKEN_ID_NOT_FOUND");
        }
        let expiry = time.unix_now().as_secs() + 3600;
        format!(r#"{{"ks":"djJ8-session-of-the-stub-{expiry}","expiry":{expiry}}}"#)
    });
    let provider = SessionProvider::new(stub.client(&clock), source());
    let mut attempts = Vec::new();
    for tenth in 0..6000 {
        let before = stub.exchanges();
        let error = provider.get(&SessionKey::new()).await.unwrap_err();
        assert_eq!(error.code(), Some("APP_TOKEN_ID_NOT_FOUND"));
        if stub.exchanges() > before {
            attempts.push(f64::from(tenth) / 10.0);
        }
        pass(Duration::from_millis(100)).await;
    }
    assert_waits(
        &attempts,
        &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0],
    );

    gone.store(false, Ordering::SeqCst);
    pass(seconds(75)).await;
    provider.get(&SessionKey::new()).await.unwrap();
}

/// Each wait is what is expected, a quarter more or less, and seen a tenth of a second too late.
fn assert_waits(attempts: &[f64], expected: &[f64]) {
    let mut waits: Vec<f64> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    waits.truncate(expected.len());
    let fits = |(wait, expected): (&f64, &f64)| {
        (expected * 0.75 - 0.001..=expected * 1.25 + 0.101).contains(wait)
    };
    assert_eq!(waits.len(), expected.len(), "{attempts:?}");
    assert!(waits.iter().zip(expected).all(fits), "{waits:?}");
}

/// A source whose token can be changed, and which counts how often it is asked.
#[derive(Clone, Default)]
struct Changing {
    answer: Arc<Mutex<Option<(String, String)>>>,
    asked: Arc<AtomicUsize>,
}

impl Changing {
    fn new(id: &str, token: &str) -> Self {
        let changing = Self::default();
        changing.set(id, token);
        changing
    }

    fn set(&self, id: &str, token: &str) {
        *self.answer.lock().unwrap() = Some((id.to_owned(), token.to_owned()));
    }

    fn source(&self) -> TokenSource {
        let this = self.clone();
        TokenSource::callable(move || {
            this.asked.fetch_add(1, Ordering::SeqCst);
            match this.answer.lock().unwrap().clone() {
                Some((id, token)) => Ok(TokenCredentials::new(id, token)),
                None => Err("the vault is sealed".into()),
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn another_token_in_the_source_is_tried_at_once() {
    let clock = VirtualClock::new(0);
    let stub = Stub::new(|params| match params["id"].as_str() {
        "0_good" => format!(
            r#"{{"ks":"djJ8-session-of-the-stub","expiry":{}}}"#,
            EPOCH + 3600
        ),
        _ => exception("APP_TOKEN_ID_NOT_FOUND"),
    });
    let changing = Changing::new("0_gone", "0123456789abcdef");
    let provider = SessionProvider::new(stub.client(&clock), changing.source());
    provider.get(&SessionKey::new()).await.unwrap_err();
    provider.get(&SessionKey::new()).await.unwrap_err();
    assert_eq!(stub.exchanges(), 1);
    // The same id with another value counts as another token, too.
    pass(Duration::from_millis(1500)).await;
    provider.get(&SessionKey::new()).await.unwrap_err();
    assert_eq!(stub.exchanges(), 2);
    changing.set("0_gone", "fedcba9876543210");
    provider.get(&SessionKey::new()).await.unwrap_err();
    assert_eq!(stub.exchanges(), 3);
    changing.set("0_good", "0123456789abcdef");
    pass(seconds(1)).await;
    provider.get(&SessionKey::new()).await.unwrap();
    assert_eq!(stub.exchanges(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_in_the_source_alone_holds_nobody_up() {
    let (stub, clock, _) = world();
    let changing = Changing::default();
    let provider = SessionProvider::new(stub.client(&clock), changing.source());
    let error = provider.get(&SessionKey::new()).await.unwrap_err();
    assert!(error.message().contains("the vault is sealed"), "{error}");
    changing.set(ID, "0123456789abcdef");
    provider.get(&SessionKey::new()).await.unwrap();
    assert_eq!(stub.exchanges(), 1);
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
            provider.get(&key).await.unwrap_err();
            pass(Duration::from_millis(10)).await;
        }
        let asked = changing.asked.load(Ordering::SeqCst) - asked;
        assert!((1..=11).contains(&asked), "{asked} times in ten seconds");
        assert_eq!(stub.exchanges(), exchanges);
    }
}

/// What panics in a flight, and until when.
#[derive(Clone, Debug)]
struct Panics {
    what: &'static str,
    now: Arc<AtomicBool>,
}

impl Panics {
    fn at(&self, what: &str) {
        assert!(
            self.what != what || !self.now.load(Ordering::SeqCst),
            "on purpose"
        );
    }
}

#[derive(Debug)]
struct PanickingCache(MemoryCache, Panics);

impl SessionCache for PanickingCache {
    fn get<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Option<Arc<CachedSession>>> {
        self.0.get(key)
    }

    fn put<'a>(&'a self, key: &'a SessionKey, session: Arc<CachedSession>) -> BoxFuture<'a, ()> {
        self.1.at("cache");
        self.0.put(key, session)
    }

    fn remove<'a>(&'a self, key: &'a SessionKey, ks: &'a Secret) -> BoxFuture<'a, bool> {
        self.0.remove(key, ks)
    }
}

#[derive(Debug)]
struct PanickingClock(VirtualClock, Panics);

impl Clock for PanickingClock {
    fn unix_now(&self) -> Duration {
        self.0.unix_now()
    }

    fn steady_now(&self) -> Duration {
        self.0.steady_now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // The deadline of a request: nobody else waits for so long.
        assert!(
            duration < seconds(10) || self.1.what != "clock" || !self.1.now.load(Ordering::SeqCst),
            "on purpose"
        );
        self.0.sleep(duration)
    }
}

#[derive(Debug)]
struct PanickingTransport(Arc<Stub>, Panics);

impl Transport for PanickingTransport {
    fn post(
        &self,
        request: TransportRequest,
    ) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        let answer = self.0.post(request);
        Box::pin(async {
            let answer = answer.await;
            self.1.at("transport");
            answer
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_what_it_is_given_is_an_error_for_all_who_wait_and_over_with_the_next_call() {
    for what in ["cache", "clock", "transport", "token source"] {
        let panics = Panics {
            what,
            now: Arc::new(AtomicBool::new(true)),
        };
        let (stub, clock, _) = world();
        let client = Client::builder()
            .service_url("https://stub.example")
            .partner_id(102)
            .max_retries(0)
            .clock(Arc::new(PanickingClock(clock, panics.clone())))
            .transport(Arc::new(PanickingTransport(
                Arc::clone(&stub),
                panics.clone(),
            )))
            .build()
            .unwrap();
        let source = TokenSource::callable({
            let panics = panics.clone();
            move || {
                panics.at("token source");
                Ok(TokenCredentials::new(ID, "0123456789abcdef"))
            }
        });
        let provider = SessionProvider::builder(source)
            .cache(Arc::new(PanickingCache(
                MemoryCache::new(10),
                panics.clone(),
            )))
            .build(client);
        let key = SessionKey::new().duration(seconds(600));
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let (provider, key) = (provider.clone(), key.clone());
                tokio::spawn(async move { provider.get(&key).await })
            })
            .collect();
        for caller in callers {
            let error = caller
                .await
                .expect("the caller does not panic")
                .unwrap_err();
            assert!(error.message().contains("panicked"), "{what}: {error}");
        }
        // The client contains a panic of its transport, which is then a failed exchange like others.
        let waits = what == "transport";
        assert_eq!(
            format!("{provider:?}").contains("under_way: 0"),
            !waits,
            "{what}"
        );
        panics.now.store(false, Ordering::SeqCst);
        if waits {
            pass(seconds(2)).await;
        }
        let good = provider.get(&key).await.unwrap();

        pass(seconds(590)).await;
        panics.now.store(true, Ordering::SeqCst);
        assert_eq!(provider.get(&key).await.unwrap(), good, "{what}");
    }
}

/// On several threads, where a caller may look at an exchange at the moment at which it panics.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_ever_for_an_exchange_that_panicked() {
    let clock = VirtualClock::new(0);
    let stub = Stub::new(|_| {
        std::thread::sleep(Duration::from_millis(2));
        panic!("on purpose")
    });
    let provider = SessionProvider::new(stub.client(&clock), source());
    for round in 0..20 {
        let key = SessionKey::new().user_id(format!("user-{round}"));
        let callers: Vec<_> = (0..50)
            .map(|_| {
                let (provider, key) = (provider.clone(), key.clone());
                tokio::spawn(async move { provider.get(&key).await })
            })
            .collect();
        for caller in callers {
            let ended = tokio::time::timeout(seconds(20), caller).await;
            let error = ended
                .expect("it ends")
                .expect("without a panic")
                .unwrap_err();
            assert!(error.message().contains("panicked"), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_a_good_session_waits_50_ms_for_its_renewal_which_goes_on_without_anybody() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let old = provider.get(&key).await.unwrap();
    pass(seconds(570)).await;
    stub.close();
    let asked = tokio::time::Instant::now();
    assert_eq!(provider.get(&key).await.unwrap(), old);
    let waited = asked.elapsed();
    // Tokio's timers are exact to a millisecond.
    assert!(waited <= Duration::from_millis(51), "{waited:?}");
    for _ in 0..100 {
        let asked = tokio::time::Instant::now();
        assert_eq!(provider.get(&key).await.unwrap(), old);
        assert_eq!(asked.elapsed(), Duration::ZERO, "the others do not wait");
    }
    stub.open();
    settle().await;
    assert_ne!(provider.get(&key).await.unwrap(), old);
    assert_eq!(stub.exchanges(), 2, "the one that the first of them began");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_is_not_lost_with_the_caller_who_began_it() {
    for by_cancel in [false, true] {
        let (stub, _, provider) = world();
        let key = SessionKey::new().duration(seconds(600));
        let old = provider.get(&key).await.unwrap();
        pass(seconds(570)).await;
        stub.close();
        let cancel = Cancel::new();
        let caller = tokio::spawn({
            let (provider, key) = (provider.with_cancel(&cancel), key.clone());
            async move { provider.get(&key).await }
        });
        settle().await;
        if by_cancel {
            cancel.trigger();
            let error = caller.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
        } else {
            caller.abort();
        }
        settle().await;
        stub.open();
        settle().await;
        assert_ne!(provider.get(&key).await.unwrap(), old);
        assert_eq!(stub.exchanges(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_while_its_renewal_is_waited_for_is_not_handed_out() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let old = provider.get(&key).await.unwrap();
    pass(Duration::from_millis(599_980)).await;
    stub.close();
    let caller = tokio::spawn({
        let (provider, key) = (provider.clone(), key.clone());
        async move { provider.get(&key).await.unwrap() }
    });
    tokio::time::sleep(seconds(5)).await;
    assert!(!caller.is_finished());
    stub.open();
    assert_ne!(caller.await.unwrap(), old);
    assert_eq!(stub.exchanges(), 2);
}

/// The machine's clock, which can be put forward.
#[derive(Debug)]
struct ForwardClock {
    start: Instant,
    forward: AtomicU64,
}

impl ForwardClock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            forward: AtomicU64::new(0),
        })
    }

    fn shift(&self) -> Duration {
        seconds(self.forward.load(Ordering::SeqCst))
    }
}

impl Clock for ForwardClock {
    fn unix_now(&self) -> Duration {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        now + self.shift()
    }

    fn steady_now(&self) -> Duration {
        self.start.elapsed() + self.shift()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// How long it takes the server to answer a renewal, in milliseconds.
const STALL: u64 = 2000;

/// A sandbox that is about to stall, a client's builder for it, the clock to put forward and a token.
fn about_to_stall() -> (Sandbox, ClientBuilder, Arc<ForwardClock>, TokenSource) {
    let sandbox = sandbox();
    let token = admin_blocking(&sandbox)
        .add_token(&NewToken::new())
        .unwrap();
    let clock = ForwardClock::new();
    let builder = builder(&sandbox).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    (
        sandbox,
        builder,
        clock,
        TokenSource::value(token.id, token.token.unwrap()),
    )
}

/// Five seconds before the end of a session that lives for sixty.
fn stall(sandbox: &Sandbox, clock: &ForwardClock) {
    clock.forward.store(55, Ordering::SeqCst);
    sandbox.set_clock_offset(55.0);
    sandbox.add_fault(Fault::new(
        "appToken.startSession",
        FaultKind::Latency { ms: STALL },
    ));
}

fn assert_short(mut times: Vec<Duration>) {
    times.sort_unstable();
    let (p99, longest) = (times[times.len() * 99 / 100], times[times.len() - 1]);
    println!("a get took up to {p99:?} in 99 of 100 cases, {longest:?} at most");
    assert!(p99 <= Duration::from_millis(60), "{p99:?}");
    assert!(longest <= Duration::from_millis(150), "{longest:?}");
}

/// For tests that count the threads of this process.
static COUNTS_THREADS: Mutex<()> = Mutex::new(());

/// Threads of this process that carry on what their callers left.
fn helper_threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("kaltura-renew"))
        .count()
}

#[test]
fn a_stalled_server_holds_up_no_thread_that_has_a_good_session() {
    let _alone = COUNTS_THREADS
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let (sandbox, builder, clock, source) = about_to_stall();
    let client = Arc::new(blocking::Client::new(builder).unwrap());
    let provider = blocking::SessionProvider::new(client, SessionProvider::builder(source));
    let key = SessionKey::new().duration(seconds(60));
    let old = provider.get(&key).unwrap();
    stall(&sandbox, &clock);
    let mut times = Vec::new();
    for _ in 0..1000 {
        let asked = Instant::now();
        assert_eq!(provider.get(&key).unwrap(), old);
        times.push(asked.elapsed());
        std::thread::sleep(Duration::from_micros(500));
    }
    assert_short(times);
    assert_eq!(helper_threads(), 1);

    // Nobody calls, and it goes on.
    std::thread::sleep(Duration::from_millis(STALL));
    assert_eq!(helper_threads(), 0, "it ends with what it is there for");
    let asked = Instant::now();
    assert_ne!(provider.get(&key).unwrap(), old);
    assert!(asked.elapsed() < Duration::from_millis(20), "it was there");
    assert_eq!(arrived(&sandbox, "appToken.startSession"), 2);
}

#[test]
fn a_blocking_client_that_is_closed_takes_its_renewals_with_it() {
    let _alone = COUNTS_THREADS
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let (sandbox, builder, clock, source) = about_to_stall();
    let client = Arc::new(blocking::Client::new(builder).unwrap());
    let provider = blocking::SessionProvider::new(client, SessionProvider::builder(source));
    let key = SessionKey::new().duration(seconds(60));
    let old = provider.get(&key).unwrap();
    stall(&sandbox, &clock);
    let stalled = Instant::now();
    assert_eq!(provider.get(&key).unwrap(), old);
    let wait_for_helper_threads = |count| {
        while helper_threads() != count {
            assert!(stalled.elapsed() < Duration::from_millis(STALL / 2));
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    wait_for_helper_threads(1);
    drop(provider);
    wait_for_helper_threads(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_server_holds_up_no_task_that_has_a_good_session() {
    // Not a blocking thread of the runtime's, where the blocking client refuses to work.
    let prepared = std::thread::spawn(about_to_stall).join().unwrap();
    let (sandbox, builder, clock, source) = prepared;
    let provider = SessionProvider::new(builder.build().unwrap(), source);
    let key = SessionKey::new().duration(seconds(60));
    let old = provider.get(&key).await.unwrap();
    stall(&sandbox, &clock);
    let mut times = Vec::new();
    for _ in 0..1000 {
        let asked = Instant::now();
        assert_eq!(provider.get(&key).await.unwrap(), old);
        times.push(asked.elapsed());
    }
    assert_short(times);
    tokio::time::sleep(Duration::from_millis(STALL)).await;
    assert_ne!(provider.get(&key).await.unwrap(), old);
    assert_eq!(arrived(&sandbox, "appToken.startSession"), 2);
}

#[tokio::test(start_paused = true)]
async fn not_everybody_renews_at_the_same_moment() {
    let mut renewed_at = HashSet::new();
    for _ in 0..30 {
        let (stub, _, provider) = world();
        let key = SessionKey::new().duration(seconds(600));
        provider.get(&key).await.unwrap();
        pass(seconds(530)).await;
        let mut second = 530;
        while stub.exchanges() == 1 {
            provider.get(&key).await.unwrap();
            pass(seconds(1)).await;
            second += 1;
        }
        assert!((534..=548).contains(&second), "{second}");
        renewed_at.insert(second);
    }
    assert!(renewed_at.len() > 3, "{renewed_at:?}");
}

#[tokio::test(start_paused = true)]
async fn how_long_a_renewal_is_waited_for_can_be_set() {
    let (stub, clock, _) = world();
    for wait in [Duration::ZERO, seconds(2)] {
        let provider = SessionProvider::builder(source())
            .renewal_wait(wait)
            .build(stub.client(&clock));
        let key = SessionKey::new().duration(seconds(600));
        let old = provider.get(&key).await.unwrap();
        pass(seconds(570)).await;
        stub.close();
        let asked = tokio::time::Instant::now();
        assert_eq!(provider.get(&key).await.unwrap(), old);
        let waited = asked.elapsed();
        assert!(waited >= wait && waited <= wait + Duration::from_millis(1));
        stub.open();
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_after_its_caller_has_left_is_not_begun_again_at_once() {
    let (stub, _, provider) = world();
    let key = SessionKey::new().duration(seconds(600));
    let old = provider.get(&key).await.unwrap();
    pass(seconds(570)).await;
    stub.close();
    stub.limit_rate("10");
    assert_eq!(provider.get(&key).await.unwrap(), old);
    stub.open();
    settle().await;
    for _ in 0..9 {
        assert_eq!(provider.get(&key).await.unwrap(), old);
        pass(seconds(1)).await;
    }
    assert_eq!(stub.exchanges(), 2);
    stub.lift_limit();
    pass(seconds(2)).await;
    assert_ne!(provider.get(&key).await.unwrap(), old);
}

/// A network without a server.
#[derive(Debug, Default)]
struct Nowhere(AtomicUsize);

impl Transport for Nowhere {
    fn post(&self, _: TransportRequest) -> BoxFuture<'_, Result<TransportAnswer, TransportError>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            Err(TransportError::NotSent(
                ConnectCause::Refused,
                "no route".to_owned(),
            ))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_few_calls_wait_for_the_clients_retries() {
    let (clock, nowhere) = (VirtualClock::new(0), Arc::new(Nowhere::default()));
    let client = Client::builder()
        .service_url("https://stub.example")
        .partner_id(102)
        .clock(Arc::new(clock.clone()))
        .transport(Arc::clone(&nowhere) as Arc<dyn Transport>)
        .build()
        .unwrap();
    let provider = SessionProvider::new(client, source());
    let (mut at_once, mut waited) = (0, 0);
    while clock.steady_now() < seconds(600) {
        let asked = tokio::time::Instant::now();
        let error = provider.get(&SessionKey::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        match asked.elapsed() {
            Duration::ZERO => at_once += 1,
            _ => waited += 1,
        }
        pass(Duration::from_millis(100)).await;
    }
    assert!(waited <= 18, "{waited} calls waited");
    assert!(at_once >= 4000, "{at_once} calls had their answer at once");
    assert_eq!(nowhere.0.load(Ordering::SeqCst), 4 * waited);
}

#[test]
fn a_queues_thread_carries_on_the_renewals_of_its_calls() {
    let (sandbox, builder, clock, source) = about_to_stall();
    let client = Arc::new(blocking::Client::new(builder).unwrap());
    let provider = SessionProvider::builder(source);
    let provider = blocking::SessionProvider::new(Arc::clone(&client), provider);
    let key = SessionKey::new().duration(seconds(60));
    let queue = Queue::<(), Session>::new(10).unwrap();
    let get = || {
        let (provider, key) = (provider.provider().unwrap(), key.clone());
        let get = |_| async move { provider.get(&key).await };
        queue.submit(&client, (), get).unwrap();
        let done = queue.next(Some(seconds(20))).unwrap().unwrap();
        done.result.unwrap().unwrap()
    };
    let old = get();
    stall(&sandbox, &clock);
    let asked = Instant::now();
    assert_eq!(get(), old);
    assert!(asked.elapsed() < Duration::from_millis(150));
    std::thread::sleep(Duration::from_millis(STALL + 200));
    let asked = Instant::now();
    assert_ne!(get(), old);
    assert!(asked.elapsed() < Duration::from_millis(20), "it was there");
    assert_eq!(arrived(&sandbox, "appToken.startSession"), 2);
}
