//! Where the token comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::stub::{Stub, exception};
use crate::virtual_time::{EPOCH, VirtualClock};
use crate::world::{Changing, ID, pass, scratch, seconds, world};
use kaltura_app_token::{
    ErrorKind, HashType, NewToken, SessionKey, SessionProvider, TokenCredentials, TokenSource,
};
use kaltura_e2e::{admin, arrived, integrator, sandbox};
use kaltura_sandbox::{Fault, FaultKind};

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
