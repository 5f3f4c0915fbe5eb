//! The decisions as tables: what is known and what happens, and what follows.

use super::*;
use crate::error::ErrorKind;

fn at(seconds: i64) -> Now {
    Now {
        steady: Duration::from_secs(seconds.unsigned_abs()),
        likely: seconds * 1000,
        latest: seconds * 1000 + 1000,
    }
}

/// From 0 to 1000 s.
const LIFE: Life = Life {
    started: 0,
    expires: 1_000_000,
};

fn asked(kept: Option<Life>, min_remaining: i64, under_way: bool) -> Event<'static> {
    Event::Asked {
        kept,
        min_remaining: min_remaining * 1000,
        renew_when_left: 0.25,
        number: 0.5,
        under_way,
    }
}

fn token(id: &str) -> Token {
    Token {
        id: id.to_owned(),
        fingerprint: 1,
    }
}

fn connect() -> Error {
    Error::new(ErrorKind::Connect, "no route")
}

/// The state after an exchange failed at that time.
fn failed(seconds: i64, state: KeyState, kept: Option<Life>, error: &Error) -> KeyState {
    let event = Event::Failed {
        token: &token("a"),
        error,
        kept,
        chance: 0.5,
    };
    state.step(&event, &at(seconds)).0
}

fn name(action: &Action) -> &'static str {
    match action {
        Action::Nothing => "nothing",
        Action::HandOut => "hand out",
        Action::HandOutShort => "hand out short",
        Action::Renew => "renew",
        Action::Wait => "wait",
        Action::Mint => "mint",
        Action::Again => "again",
        Action::Replace => "replace",
        Action::FindToken { forget: true } => "find token, forget",
        Action::FindToken { forget: false } => "find token, keep",
        Action::Refuse(_) => "refuse",
    }
}

#[test]
fn what_a_caller_gets() {
    let fine = KeyState::default();
    let waiting = failed(0, KeyState::default(), None, &{
        connect().with_retry_after(Some(Duration::from_secs(86_400)))
    });
    let kept = Some(LIFE);
    for (state, second, kept, min_remaining, under_way, expected) in [
        (&fine, 0, None, 0, false, "wait"),
        (&fine, 0, None, 0, true, "wait"),
        (&fine, 1, kept, 0, false, "hand out"),
        (&fine, 1, kept, 998, false, "hand out"),
        // The server's clock may be a second ahead.
        (&fine, 1, kept, 999, false, "wait"),
        (&fine, 749, kept, 0, false, "hand out"),
        (&fine, 750, kept, 0, false, "renew"),
        (&fine, 750, kept, 0, true, "hand out"),
        (&fine, 750, kept, 249, false, "renew"),
        (&fine, 750, kept, 250, false, "wait"),
        (&fine, 998, kept, 0, false, "renew"),
        (&fine, 999, kept, 0, false, "wait"),
        (&fine, 999, kept, 0, true, "wait"),
        (&waiting, 750, kept, 0, false, "hand out"),
        (&waiting, 998, kept, 0, true, "hand out"),
        // One caller finds out whether the source has another token.
        (&waiting, 999, kept, 0, false, "wait"),
        (&waiting, 999, kept, 0, true, "refuse"),
        (&waiting, 1, None, 0, false, "wait"),
        (&waiting, 86_399, None, 0, true, "refuse"),
        (&waiting, 86_400, None, 0, true, "wait"),
    ] {
        let event = asked(kept, min_remaining, under_way);
        let (_, action) = state.clone().step(&event, &at(second));
        assert_eq!(name(&action), expected, "{second} s: {event:?}");
    }
}

#[test]
fn a_renewal_is_moved_by_up_to_a_tenth_of_what_is_left() {
    for (number, second) in [(0.0, 775), (0.5, 750), (1.0, 725)] {
        for (second, expected) in [(second - 1, "hand out"), (second, "renew")] {
            let event = Event::Asked {
                kept: Some(LIFE),
                min_remaining: 0,
                renew_when_left: 0.25,
                number,
                under_way: false,
            };
            let (_, action) = KeyState::default().step(&event, &at(second));
            assert_eq!(name(&action), expected, "{number} {second}");
        }
    }
}

#[test]
fn failures_wait_ever_longer_but_for_another_token_and_not_beyond_a_sessions_end() {
    let mut state = KeyState::default();
    let mut now = 0;
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        state = failed(now, state, None, &connect());
        for (token, second, expected) in [
            (token("a"), now + wait - 1, "refuse"),
            (token("a"), now + wait, "mint"),
            (token("b"), now, "mint"),
        ] {
            let (_, action) = state
                .clone()
                .step(&Event::Sourced { token: &token }, &at(second));
            assert_eq!(name(&action), expected, "{wait} s");
        }
        now += wait;
    }
    // Three seconds before the end of a session, however often it has failed.
    let ending = Life {
        started: 0,
        expires: 190_000,
    };
    let state = failed(186, state, Some(ending), &connect());
    assert!(state.backs_off(&at(188)) && !state.backs_off(&at(189)));
    // The server's own wish counts all the same.
    let busy = connect().with_retry_after(Some(Duration::from_secs(100)));
    let state = failed(186, state, Some(ending), &busy);
    assert!(state.backs_off(&at(285)) && !state.backs_off(&at(286)));
    let (state, _) = state.step(&Event::Minted { replaces: false }, &at(286));
    assert!(state.is_empty());
}

#[test]
fn the_source_is_asked_by_one_caller_a_second_while_minting_waits() {
    let busy = connect().with_retry_after(Some(Duration::from_secs(100)));
    let mut state = failed(0, KeyState::default(), None, &busy);
    for (second, expected) in [(0, "wait"), (0, "refuse"), (1, "wait"), (1, "refuse")] {
        let action;
        (state, action) = state.step(&asked(None, 0, false), &at(second));
        assert_eq!(name(&action), expected, "{second} s");
    }
}

#[test]
fn a_wish_that_a_fresh_session_does_not_fulfil_mints_no_other() {
    let landed = |is_fresh, min_remaining: i64| Event::Landed {
        session: LIFE,
        is_fresh,
        min_remaining: min_remaining * 1000,
    };
    for (is_fresh, min_remaining, expected) in [
        (true, 0, "hand out"),
        (true, 999, "hand out"),
        (true, 1000, "hand out short"),
        (false, 999, "hand out"),
        (false, 1000, "again"),
    ] {
        let (_, action) = KeyState::default().step(&landed(is_fresh, min_remaining), &at(0));
        assert_eq!(name(&action), expected, "{is_fresh} {min_remaining}");
    }
    let (state, _) = KeyState::default().step(&landed(true, 1000), &at(0));
    for (min_remaining, expected) in [(1000, "hand out"), (989, "hand out"), (990, "wait")] {
        let (_, action) = state
            .clone()
            .step(&asked(Some(LIFE), min_remaining, false), &at(10));
        assert_eq!(name(&action), expected, "{min_remaining}");
    }
    let mut state = state;
    state.forget_old(&at(599));
    assert!(!state.is_empty());
    state.forget_old(&at(600));
    assert!(state.is_empty());
}

fn rejected(reason: KsFailure, ks: u64, kept: Option<u64>, error: &Error) -> Event<'_> {
    Event::Rejected {
        reason,
        error,
        ks,
        kept: kept.map(|kept| ("a", kept)),
        has_expired: false,
        chance: 0.5,
    }
}

#[test]
fn what_a_first_refusal_means() {
    let error = connect();
    for (reason, current, replaced, none) in [
        (KsFailure::Expired, "replace", "replace", "replace"),
        (KsFailure::ActionsLimit, "replace", "replace", "replace"),
        (
            KsFailure::LoggedOut,
            "find token, forget",
            "replace",
            "refuse",
        ),
        (KsFailure::RestrictedIp, "refuse", "refuse", "refuse"),
        (KsFailure::RestrictedUri, "refuse", "refuse", "refuse"),
        (KsFailure::NotAccepted, "refuse", "refuse", "refuse"),
    ] {
        for (kept, expected) in [(Some(1), current), (Some(2), replaced), (None, none)] {
            let event = rejected(reason, 1, kept, &error);
            let (_, action) = KeyState::default().step(&event, &at(0));
            assert_eq!(name(&action), expected, "{reason:?} {kept:?}");
        }
    }
}

#[test]
fn replacements_that_are_refused_are_replaced_ever_more_rarely_and_kept_meanwhile() {
    let error = connect();
    for (reason, waits, replaced) in [
        (KsFailure::Expired, [1, 2, 4, 8], "replace"),
        (KsFailure::LoggedOut, [60; 4], "find token, forget"),
    ] {
        let (mut state, mut now, mut ks) = (KeyState::default(), 0, 1);
        for wait in waits {
            let mut refuse = |ks, second, expected| {
                let action;
                let before = std::mem::take(&mut state);
                (state, action) = before.step(&rejected(reason, ks, Some(ks), &error), &at(second));
                assert_eq!(name(&action), expected, "{reason:?} {second} s");
            };
            refuse(ks, now, replaced);
            // The same complaint of somebody else.
            refuse(ks, now, replaced);
            ks += 1;
            refuse(ks, now, "find token, keep");
            refuse(ks, now, "refuse");
            refuse(
                ks,
                now + wait - 1,
                if wait > 1 {
                    "find token, keep"
                } else {
                    "refuse"
                },
            );
            now += wait;
        }
        // One that no cache keeps any more counts as well.
        let before = state.clone();
        let (_, action) = before.step(
            &rejected(KsFailure::Expired, 99, None, &error),
            &at(now - 1),
        );
        assert_eq!(name(&action), "refuse", "{reason:?}");
        // A session that lives until it is renewed ends the row.
        let (state, _) = state.step(&Event::Minted { replaces: true }, &at(now));
        assert!(state.is_empty());
    }
}
