//! `SessionProvider` and `TokenSource`: the core's, waited for or submitted like a client's calls.

use std::path::PathBuf;
use std::sync::Arc;

use kaltura_app_token as core;
use kaltura_app_token::blocking;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::apart::Apart;
use crate::aside::Aside;
use crate::call::make_call;
use crate::client::{Client, session_object};
use crate::convert::{DurationArg, SecretArg, SessionTypeArg, hash_type};
use crate::errors::{OrRaise, refused};
use crate::logging;
use crate::model::{Session, not_picklable};
use crate::queue::LoopQueue;

/// Where a provider gets its token's id and value from, each time that it mints a session.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct TokenSource(core::TokenSource);

/// What a Python function answers as a token source.
#[derive(FromPyObject)]
enum Answer {
    WithHashType(String, SecretArg, String),
    Plain(String, SecretArg),
}

fn credentials(answer: &Bound<'_, PyAny>) -> PyResult<core::TokenCredentials> {
    Ok(match answer.extract()? {
        Answer::Plain(id, token) => core::TokenCredentials::new(id, token.0),
        Answer::WithHashType(id, token, name) => {
            core::TokenCredentials::new(id, token.0).hash_type(hash_type(&name))
        }
    })
}

#[pymethods]
impl TokenSource {
    /// This token, for good.
    #[staticmethod]
    fn value(id: String, token: SecretArg) -> Self {
        Self(core::TokenSource::value(id, token.0))
    }

    /// The variables `KALTURA_APP_TOKEN_ID` and `KALTURA_APP_TOKEN`.
    #[staticmethod]
    fn environment() -> Self {
        Self(core::TokenSource::environment())
    }

    /// The value in a variable of one's own.
    #[staticmethod]
    fn variable(id: String, name: String) -> Self {
        Self(core::TokenSource::variable(id, name))
    }

    /// A JSON file with `id` and `token`, as a rotation writes it; read for every session minted.
    #[staticmethod]
    fn file(path: PathBuf) -> Self {
        Self(core::TokenSource::file(path))
    }

    /// A file with nothing but the value, such as a mounted secret; read for every session minted.
    #[staticmethod]
    fn value_file(id: String, path: PathBuf) -> Self {
        Self(core::TokenSource::value_file(id, path))
    }

    /// A function that answers `(id, token)` or `(id, token, hash_type)`; called for every session
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
    #[pyo3(signature = (client, source, *, hash_type="SHA256", capacity=10_000, renew_when_left=None,
        renewal_wait=None))]
    fn new(
        client: &Bound<'_, Client>,
        source: &Bound<'_, TokenSource>,
        hash_type: &str,
        capacity: usize,
        renew_when_left: Option<f64>,
        renewal_wait: Option<DurationArg>,
    ) -> PyResult<Self> {
        let hash_type = match hash_type {
            "auto" => None,
            name => Some(self::hash_type(name)),
        };
        let mut builder = core::SessionProvider::builder(source.get().0.clone())
            .hash_type(hash_type)
            .capacity(capacity);
        if let Some(part_of_life) = renew_when_left {
            let built = builder.renew_when_left(part_of_life);
            builder = built.or_raise(client.py())?;
        }
        if let Some(wait) = renewal_wait {
            builder = builder.renewal_wait(wait.0);
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
        user_id: Option<String>,
        session_type: Option<SessionTypeArg>,
        privileges: Option<String>,
        duration: Option<DurationArg>,
        min_remaining: Option<DurationArg>,
    ) -> PyResult<Py<PyAny>> {
        let mut key = core::SessionKey::new();
        key.user_id = user_id;
        key.session_type = session_type.map(|kind| kind.0);
        key.privileges = privileges;
        key.duration = duration.map(|duration| duration.0);
        let min_remaining = min_remaining.map(|duration| duration.0).unwrap_or_default();
        // Nearly every call ends here: without the runtime, and with the object of the call before.
        if self.queue.is_none()
            && !logging::is_waiting()
            && let Some(session) = self.provider.at_hand(&key, min_remaining)
        {
            let made = session.made(|session| session_object(py, session.clone()).map(Arc::new));
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
            session_object,
        )
    }

    /// Takes back a session that the API refused, and answers the one to try again with.
    #[pyo3(signature = (session, reason="EXPIRED"))]
    fn reject(
        &self,
        py: Python<'_>,
        session: &Bound<'_, Session>,
        reason: &str,
    ) -> PyResult<Py<PyAny>> {
        let reason = match reason {
            "EXPIRED" => core::KsFailure::Expired,
            "LOGOUT" => core::KsFailure::LoggedOut,
            "EXCEEDED_ACTIONS_LIMIT" => core::KsFailure::ActionsLimit,
            "EXCEEDED_RESTRICTED_IP" => core::KsFailure::RestrictedIp,
            "EXCEEDED_RESTRICTED_URI" => core::KsFailure::RestrictedUri,
            "INVALID" => core::KsFailure::NotAccepted,
            _ => {
                return Err(refused(
                    py,
                    "reason: it is none of EXPIRED, LOGOUT, EXCEEDED_ACTIONS_LIMIT, \
                     EXCEEDED_RESTRICTED_IP, EXCEEDED_RESTRICTED_URI, INVALID",
                ));
            }
        };
        let session = session.get().0.clone();
        let provider = Arc::clone(&self.provider);
        make_call(
            py,
            self.provider.client(),
            self.queue.as_ref(),
            move |client| async move {
                let provider = for_this_call(&provider, &client)?;
                provider.reject(&session, reason).await
            },
            session_object,
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
        Err(not_picklable("SessionProvider"))
    }
}
