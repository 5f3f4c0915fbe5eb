//! What is said of which token.

use std::time::Duration;

use crate::forward::Forward;
use crate::tools::NOW;
use kaltura_app_token::{
    AppToken, ErrorKind, Finding, Fix, HashType, ListOptions, Pager, RevocationTarget, SessionType,
    Severity, TokenField, TokenFilter, TokenStatus, audit, audit_tokens, plan_revocation,
};
use kaltura_e2e::{Tap, builder, now, sandbox};
use serde_json::json;

/// A token of which there is nothing to be said.
fn decent() -> AppToken {
    let mut token = AppToken::default();
    token.id = "1_decent00".into();
    token.status = Some(TokenStatus::Active);
    token.session_type = Some(SessionType::User);
    token.hash_type = Some(HashType::Sha256);
    token.session_duration = Some(3600);
    token.session_privileges = Some("sview:*,list:*,setrole:42".into());
    token.expiry = Some(NOW + 86_400);
    token.created_at = Some(NOW - 1000);
    token.description = Some("decent".into());
    token
}

fn rules(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_decent_token_is_left_in_peace() {
    assert_eq!(audit_tokens(&[decent()], NOW), []);
}

type Spoil = fn(&mut AppToken);

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_weakness_has_its_rule_its_severity_and_its_remedy() {
    let cases: [(Spoil, &str, Severity, Fix); 24] = [
        (
            |t| t.session_type = Some(SessionType::Admin),
            "admin-type",
            Severity::High,
            Fix::SessionType(SessionType::User),
        ),
        (
            |t| t.session_type = None,
            "unset-type",
            Severity::High,
            Fix::SessionType(SessionType::User),
        ),
        (
            |t| t.expiry = None,
            "no-expiry",
            Severity::Low,
            Fix::ExpireIn(Duration::from_secs(365 * 86_400)),
        ),
        (
            |t| t.expiry = Some(0),
            "expiry-zero",
            Severity::Medium,
            Fix::Clear(TokenField::Expiry),
        ),
        (
            |t| t.expiry = Some(NOW),
            "expired",
            Severity::Low,
            Fix::Delete,
        ),
        (
            |t| t.status = Some(TokenStatus::Disabled),
            "not-active",
            Severity::Low,
            Fix::Delete,
        ),
        (
            |t| t.hash_type = Some(HashType::Md5),
            "weak-hash",
            Severity::High,
            Fix::Rotate(HashType::Sha256),
        ),
        (
            |t| t.hash_type = Some(HashType::Sha1),
            "weak-hash",
            Severity::Medium,
            Fix::Rotate(HashType::Sha256),
        ),
        (
            |t| t.hash_type = None,
            "weak-hash",
            Severity::Medium,
            Fix::Rotate(HashType::Sha256),
        ),
        (
            |t| t.session_duration = Some(0),
            "session-duration-zero",
            Severity::High,
            Fix::SessionDuration(Duration::from_secs(3600)),
        ),
        (
            |t| t.session_duration = Some(-3600),
            "session-duration-zero",
            Severity::High,
            Fix::SessionDuration(Duration::from_secs(3600)),
        ),
        (
            |t| t.session_duration = None,
            "no-session-duration",
            Severity::High,
            Fix::SessionDuration(Duration::from_secs(3600)),
        ),
        (
            |t| t.session_duration = Some(86_401),
            "long-sessions",
            Severity::Low,
            Fix::SessionDuration(Duration::from_secs(86_400)),
        ),
        (
            |t| t.session_privileges = Some("*,setrole:1".into()),
            "all-privileges",
            Severity::High,
            Fix::Privileges("NAME:VALUE,NAME:VALUE".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("edit:*,setrole:1".into()),
            "wide-privileges",
            Severity::Low,
            Fix::Privileges("NAME:VALUE,NAME:VALUE".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("sview:*".into()),
            "any-action",
            Severity::Medium,
            Fix::Privileges("sview:*,setrole:ROLE_ID".to_owned()),
        ),
        (
            |t| t.session_privileges = None,
            "any-action",
            Severity::Medium,
            Fix::Privileges("setrole:ROLE_ID".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("setrole:1,disableentitlement".into()),
            "disableentitlement",
            Severity::Medium,
            Fix::Privileges("setrole:1".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("setrole:1,enableentitlement:False".into()),
            "old-script-leftover",
            Severity::Low,
            Fix::Privileges("setrole:1".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("setrole:1,enableentitlement:True".into()),
            "old-script-leftover",
            Severity::Low,
            Fix::Privileges("setrole:1,enableentitlement".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("setrole:1,enableentitlement:yes".into()),
            "flag-with-value",
            Severity::Medium,
            Fix::Privileges("setrole:1,enableentitlement".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("setrole:1,iprestrict:10.0.0.0/8".into()),
            "iprestrict-not-an-address",
            Severity::Medium,
            Fix::Privileges("setrole:1".to_owned()),
        ),
        (
            |t| t.session_privileges = Some("urirestrict:/api_v3/*/list".into()),
            "urirestrict-inner-star",
            Severity::Medium,
            Fix::Clear(TokenField::SessionPrivileges),
        ),
        (
            |t| t.session_privileges = Some("setrole:1,downloadasset:1_a".into()),
            "downloadasset-rounds-expiry",
            Severity::Low,
            Fix::Privileges("setrole:1".to_owned()),
        ),
    ];
    for (spoil, rule, severity, fix) in cases {
        let mut token = decent();
        spoil(&mut token);
        let findings = audit_tokens(&[token], NOW);
        assert_eq!(rules(&findings), [rule]);
        let finding = &findings[0];
        assert_eq!(finding.severity, severity, "{rule}");
        assert_eq!(finding.fix, fix, "{rule}");
        assert!(
            !finding.reason.is_empty() && !finding.reason.contains('\n'),
            "{rule}"
        );
    }
}

#[test]
fn what_the_old_script_left_is_told_from_what_its_user_wanted() {
    let mut token = decent();
    token.session_privileges = Some(
        "edit:1_a,setrole:1,list:*,enableentitlement:False,disableentitlement:False,enablecategorymoderation:False"
            .into(),
    );
    let findings = audit_tokens(&[token], NOW);
    assert_eq!(rules(&findings), ["old-script-leftover"; 3]);
}

#[test]
fn of_tokens_that_are_alike_the_newest_stays() {
    let mut tokens = [decent(), decent(), decent(), decent()];
    for (number, token) in (0..).zip(&mut tokens) {
        token.id = format!("1_{number}");
        token.created_at = Some(NOW + number);
    }
    tokens[3].description = Some("another".into());
    let findings = audit_tokens(&tokens, NOW);
    let found: Vec<_> = findings
        .iter()
        .map(|finding| (finding.rule, finding.token_id.as_str()))
        .collect();
    assert_eq!(found, [("duplicate", "1_0"), ("duplicate", "1_1")]);
    assert!(findings[0].reason.contains("1_2"));
}

#[test]
fn the_most_severe_finding_comes_first() {
    let mut token = decent();
    token.session_type = None;
    token.expiry = None;
    token.session_privileges = None;
    let findings = audit_tokens(&[token], NOW);
    assert_eq!(rules(&findings), ["unset-type", "any-action", "no-expiry"]);
    assert!(Severity::High > Severity::Medium && Severity::Medium > Severity::Low);
}

#[tokio::test]
async fn an_audit_looks_at_every_token_and_fetches_no_value() {
    let sandbox = sandbox();
    let tap = Tap::on(&sandbox);
    let client = builder(&sandbox)
        .service_url(tap.service_url())
        .admin_secret(sandbox.admin_secret())
        .build()
        .unwrap();
    let rows: Vec<_> = (0..600)
        .map(|number| {
            json!({"id": format!("0_{number:08}"), "token": format!("value-of-{number}"), "status": 2, "sessionType": 0,
                "hashType": "SHA256", "sessionPrivileges": "setrole:1", "sessionDuration": 60,
                "description": number.to_string(), "createdAt": 1_700_000_000 + number, "updatedAt": 1_700_000_000,
                "expiry": if number == 77 { 1_700_000_001 } else { now(&sandbox) + 1000 }})
        })
        .collect();
    sandbox
        .add_tokens(sandbox.partner_id(), &json!(rows))
        .unwrap();
    let audited = audit(&client, TokenFilter::default()).await.unwrap();
    assert_eq!(audited.tokens, 600);
    assert_eq!(rules(&audited.findings), ["expired"]);
    assert_eq!(audited.worst(), Some(Severity::Low));
    assert!(
        !tap.answered().contains("value-of-"),
        "a value crossed the wire"
    );

    let mut filter = TokenFilter::default();
    filter.id_equal = Some("0_00000001".into());
    let audited = audit(&client, filter).await.unwrap();
    assert_eq!((audited.tokens, audited.worst()), (1, None));
}

/// The server takes the first 500 ids of a filter and drops the others without a word.
#[tokio::test]
async fn more_ids_than_the_server_takes_are_all_asked_for() {
    let sandbox = sandbox();
    let first_500 = |text: &str| text.split(',').take(500).collect::<Vec<_>>().join(",");
    let client = Forward::to(&sandbox)
        .request(move |_, field, value| match field {
            "filter[idIn]" => first_500(&value),
            _ => value,
        })
        .admin(&sandbox);
    let row = |number: i64| {
        json!({"id": format!("0_{number:08}"), "token": "t", "status": 2, "hashType": "SHA256",
        "createdAt": 1_700_000_000 - number / 3, "updatedAt": 1_700_000_000})
    };
    let rows: Vec<_> = (0..1300).map(row).collect();
    sandbox
        .add_tokens(sandbox.partner_id(), &json!(rows))
        .unwrap();
    let ids: Vec<String> = (0..1203).map(|number| format!("0_{number:08}")).collect();
    let mut filter = TokenFilter::default();
    // Named again, in the spelling of somebody who types it.
    filter.id_in = Some([ids.as_slice(), &[" 0_00000000 ".into()]].concat());

    let audited = audit(&client, filter.clone()).await.unwrap();
    assert_eq!(audited.tokens, 1203);
    let plan = plan_revocation(&client, &RevocationTarget::Ids(ids.clone()))
        .await
        .unwrap();
    assert_eq!((plan.tokens.len(), plan.missing.len()), (1203, 0));

    let mut options = ListOptions::default();
    options.filter = filter;
    let mut walk = client.tokens(options.clone());
    let mut found = Vec::new();
    while let Some(token) = walk.next_token().await {
        found.push(token.unwrap().id);
    }
    found.sort();
    assert_eq!(found, ids);

    let error = client
        .list_tokens(&options, Pager::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("500"), "{error}");
}
