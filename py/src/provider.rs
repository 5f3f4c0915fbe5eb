//! `SessionProvider` and `TokenSource`: the core's, waited for or submitted like a client's calls.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kaltura_app_token as core;
use kaltura_app_token::blocking;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::apart::Apart;
use crate::aside::Aside;
use crate::call::make_call;
use crate::client::Client;
use crate::convert::{Argument, Given, PrivilegeText, given, one_of};
use crate::errors::OrRaise;
use crate::logging;
use crate::model::{self, Built, SessionArg, TokenArg, TokenId};
use crate::queue::LoopQueue;
use crate::secret::not_picklable;

/// Where a provider gets its token's id and value from, each time that it mints a session.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct TokenSource(core::TokenSource);

/// What a Python function answers as a token source.
fn credentials(answer: &Bound<'_, PyAny>) -> PyResult<core::TokenCredentials> {
    let (known, hash_type) = if let Ok(parts) = answer.cast::<PyTuple>() {
        let mut known = TokenArg::read("id", &parts.get_item(0)?)?;
        known.value = Some(core::Secret::read("token", &parts.get_item(1)?)?);
        let hash_type = parts.get_item(2).ok();
        (known, given("hash_type", hash_type.as_ref())?)
    } else {
        (TokenArg::read("the answer", answer)?, None)
    };
    let value = known
        .value
        .clone()
        .ok_or_else(|| known.without_value(answer.py()))?;
    let credentials = core::TokenCredentials::new(known.id, value);
    Ok(match hash_type.or(known.hash_type) {
        Some(hash_type) => credentials.hash_type(hash_type),
        None => credentials,
    })
}

#[pymethods]
impl TokenSource {
    /// This token, for good; an `AppToken` brings its value along.
    #[staticmethod]
    #[pyo3(signature = (id, token=None))]
    fn value(id: &Bound<'_, PyAny>, token: Given<'_, '_>) -> PyResult<Self> {
        let known = TokenArg::read("id", id)?;
        let value = given("token", token)?.or(known.value.clone());
        let value = value.ok_or_else(|| known.without_value(id.py()))?;
        Ok(Self(core::TokenSource::value(known.id, value)))
    }

    /// The variables `KALTURA_APP_TOKEN_ID` and `KALTURA_APP_TOKEN`.
    #[staticmethod]
    fn environment() -> Self {
        Self(core::TokenSource::environment())
    }

    /// The value in a variable of one's own.
    #[staticmethod]
    fn variable(id: &Bound<'_, PyAny>, name: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (id, name) = (TokenId::read("id", id)?.0, String::read("name", name)?);
        Ok(Self(core::TokenSource::variable(id, name)))
    }

    /// A JSON file with `id` and `token`, as a rotation writes it; read for every session minted.
    #[staticmethod]
    fn file(path: &Bound<'_, PyAny>) -> PyResult<Self> {
        PathBuf::read("path", path).map(|path| Self(core::TokenSource::file(path)))
    }

    /// A file with nothing but the value, such as a mounted secret; read for every session minted.
    #[staticmethod]
    fn value_file(id: &Bound<'_, PyAny>, path: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (id, path) = (TokenId::read("id", id)?.0, PathBuf::read("path", path)?);
        Ok(Self(core::TokenSource::value_file(id, path)))
    }

    /// A function that answers `(id, token)`, `(id, token, hash_type)` or an `AppToken`; called for every session
    /// minted, on a thread of its own with an empty context.
    #[staticmethod]
    fn callable(function: &Bound<'_, PyAny>) -> PyResult<Self> {
        let aside = Aside::new("kaltura-token-source", function)?;
        Ok(Self(core::TokenSource::callable(move || {
            let answer = aside.call(
                |py| Ok(PyList::empty(py)),
                |py, answer| {
                    answer
                        .and_then(|answer| credentials(&answer))
                        .map_err(|error| Aside::name_of(py, &error))
                },
            );
            Ok(answer.ok_or("the interpreter is ending")??)
        })))
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// Why the API refused a session.
const REFUSALS: &[(core::KsFailure, &str)] = &[
    (core::KsFailure::Expired, "EXPIRED"),
    (core::KsFailure::LoggedOut, "LOGOUT"),
    (core::KsFailure::ActionsLimit, "EXCEEDED_ACTIONS_LIMIT"),
    (core::KsFailure::RestrictedIp, "EXCEEDED_RESTRICTED_IP"),
    (core::KsFailure::RestrictedUri, "EXCEEDED_RESTRICTED_URI"),
    (core::KsFailure::NotAccepted, "INVALID"),
];

/// Hands out valid sessions of one token, and mints one only when there is no good one.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct SessionProvider {
    provider: Apart<Arc<blocking::SessionProvider>>,
    queue: Option<Py<LoopQueue>>,
}

/// The provider of this process, cancelled when the call is.
fn for_this_call(
    provider: &blocking::SessionProvider,
    client: &core::Client,
) -> core::Result<core::SessionProvider> {
    let provider = provider.provider()?;
    Ok(match client.cancel() {
        Some(cancel) => provider.with_cancel(cancel),
        None => provider,
    })
}

#[pymethods]
impl SessionProvider {
    #[new]
    #[pyo3(signature = (client, source, *, hash_type=None, capacity=None, renew_when_left=None, renewal_wait=None),
        text_signature = "(client, source, *, hash_type='SHA256', capacity=10000, renew_when_left=None, renewal_wait=None)")]
    fn new(
        client: &Bound<'_, Client>,
        source: &Bound<'_, TokenSource>,
        hash_type: Given<'_, '_>,
        capacity: Given<'_, '_>,
        renew_when_left: Given<'_, '_>,
        renewal_wait: Given<'_, '_>,
    ) -> PyResult<Self> {
        let hash_type = given("hash_type", hash_type)?.unwrap_or(core::HashType::Sha256);
        // Not the name of a hash type.
        let hash_type = Some(hash_type).filter(|hash_type| hash_type.as_str() != "auto");
        let capacity = given("capacity", capacity)?.unwrap_or(10_000);
        let renew_when_left: Option<f64> = given("renew_when_left", renew_when_left)?;
        let renewal_wait: Option<Duration> = given("renewal_wait", renewal_wait)?;
        let mut builder = core::SessionProvider::builder(source.get().0.clone())
            .hash_type(hash_type)
            .capacity(capacity);
        if let Some(part_of_life) = renew_when_left {
            let built = builder.renew_when_left(part_of_life);
            builder = built.or_raise(client.py())?;
        }
        if let Some(wait) = renewal_wait {
            builder = builder.renewal_wait(wait);
        }
        let provider = blocking::SessionProvider::new(client.get().open()?, builder);
        Ok(Self {
            provider: Apart::new(Arc::new(provider)),
            queue: None,
        })
    }

    /// The same provider, whose calls go to this queue and answer with their numbers there.
    fn _on(&self, queue: Py<LoopQueue>) -> Self {
        Self {
            provider: Apart::new(Arc::clone(&self.provider)),
            queue: Some(queue),
        }
    }

    /// A session that is good now, and for `min_remaining` seconds at least.
    #[pyo3(signature = (*, user_id=None, session_type=None, privileges=None, duration=None, min_remaining=None))]
    fn get(
        &self,
        py: Python<'_>,
        user_id: Given<'_, '_>,
        session_type: Given<'_, '_>,
        privileges: Given<'_, '_>,
        duration: Given<'_, '_>,
        min_remaining: Given<'_, '_>,
    ) -> Built {
        let mut key = core::SessionKey::new();
        key.user_id = given("user_id", user_id)?;
        key.session_type = given("session_type", session_type)?;
        let privileges: Option<PrivilegeText> = given("privileges", privileges)?;
        key.privileges = privileges.map(|privileges| privileges.0);
        key.duration = given("duration", duration)?;
        let min_remaining: Duration = given("min_remaining", min_remaining)?.unwrap_or_default();
        // Nearly every call ends here: without the runtime, and with the object of the call before.
        if self.queue.is_none()
            && !logging::is_waiting()
            && let Some(session) = self.provider.at_hand(&key, min_remaining)
        {
            let made = session.made(|session| model::session(py, session.clone()).map(Arc::new));
            return made.map(|made| made.clone_ref(py));
        }
        let provider = Arc::clone(&self.provider);
        make_call(
            py,
            self.provider.client(),
            self.queue.as_ref(),
            move |client| async move {
                let provider = for_this_call(&provider, &client)?;
                provider.get_with(&key, min_remaining).await
            },
            model::session,
        )
    }

    /// Takes back a session that the API refused, and answers the one to try again with.
    #[pyo3(signature = (session, reason=None), text_signature = "($self, session, reason='EXPIRED')")]
    fn reject(&self, py: Python<'_>, session: &Bound<'_, PyAny>, reason: Given<'_, '_>) -> Built {
        let SessionArg(session) = Argument::read("session", session)?;
        let reason = reason.map_or(Ok(core::KsFailure::Expired), |reason| {
            one_of("reason", reason, REFUSALS)
        })?;
        let provider = Arc::clone(&self.provider);
        make_call(
            py,
            self.provider.client(),
            self.queue.as_ref(),
            move |client| async move {
                let provider = for_this_call(&provider, &client)?;
                provider.reject(&session, reason).await
            },
            model::session,
        )
    }

    /// What it has done in this process since it was made, and what it is doing.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let stats = self.provider.stats().or_raise(py)?;
        let fields = PyDict::new(py);
        fields.set_item("handed_out", stats.handed_out)?;
        fields.set_item("minted", stats.minted)?;
        fields.set_item("renewed", stats.renewed)?;
        fields.set_item("failed", stats.failed)?;
        fields.set_item("refused", stats.refused)?;
        fields.set_item("waiting", stats.waiting)?;
        fields.set_item("backing_off", stats.backing_off)?;
        fields.set_item("cached", stats.cached)?;
        let class = py
            .import("kaltura_app_token.observe")?
            .getattr("SessionProviderStats")?;
        class.call((), Some(&fields)).map(Bound::unbind)
    }

    fn __repr__(&self) -> String {
        format!(
            "SessionProvider({})",
            self.provider.client().service_url().unwrap_or_default()
        )
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an instance")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(not_picklable(
            "SessionProvider",
            "make another from the same settings",
        ))
    }
}
