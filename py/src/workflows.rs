//! Rotation, finding or creating, auditing and revoking: the core's workflows as functions of a client.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kaltura_app_token as core;
use kaltura_app_token::blocking;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::aside::Aside;
use crate::client::{Client, token_object};
use crate::convert::{DurationArg, InstantArg, SessionTypeArg, hash_type};
use crate::errors::to_pyerr;
use crate::fields::{apply_filters, new_token};
use crate::model::AppToken;

/// Something about a token.
#[pyclass(frozen, eq, get_all, module = "kaltura_app_token")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    token_id: String,
    rule: &'static str,
    severity: String,
    reason: String,
    fix: Vec<String>,
}

#[pymethods]
impl Finding {
    fn __repr__(&self) -> String {
        format!(
            "Finding({}, {}, {}: {})",
            self.token_id, self.severity, self.rule, self.reason
        )
    }
}

/// The words of one of our commands.
fn command(words: &[&str]) -> Vec<String> {
    let words = words.iter().map(|word| (*word).to_owned());
    std::iter::once("kaltura-app-token".to_owned())
        .chain(words)
        .collect()
}

fn clear_name(field: core::TokenField) -> &'static str {
    let known = core::TokenField::ALL
        .iter()
        .find(|(known, _)| *known == field);
    known.map_or("", |(_, name)| *name)
}

/// The command that fixes a finding.
fn fix_words(id: &str, fix: &core::Fix) -> Vec<String> {
    let hours = |time: &Duration| format!("{}h", time.as_secs() / 3600);
    let days = |time: &Duration| format!("+{}d", time.as_secs() / 86_400);
    let update = |option: &str, value: &str| command(&["update", id, option, value]);
    match fix {
        core::Fix::Rotate(hash_type) => command(&["rotate", id, "--hash-type", hash_type.as_str()]),
        core::Fix::SessionType(core::SessionType::User) => update("--session-type", "USER"),
        core::Fix::SessionType(other) => update("--session-type", &other.value().to_string()),
        core::Fix::SessionDuration(time) => update("--session-duration", &hours(time)),
        core::Fix::ExpireIn(time) => update("--expiry", &days(time)),
        core::Fix::Privileges(text) => update("--privileges", text),
        core::Fix::Clear(field) => update("--clear", clear_name(*field)),
        // Delete; and for what a later core may add, nothing is left to try.
        _ => command(&["delete", id]),
    }
}

/// What an audit found.
#[pyclass(frozen, get_all, module = "kaltura_app_token")]
pub(crate) struct Audit {
    tokens: usize,
    findings: Vec<Finding>,
}

#[pymethods]
impl Audit {
    fn __repr__(&self) -> String {
        format!(
            "Audit({} tokens, {} findings)",
            self.tokens,
            self.findings.len()
        )
    }
}

/// Judges every token that passes the filter. Their values stay on the server.
#[pyfunction]
#[pyo3(signature = (client, **filters))]
pub(crate) fn audit(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    filters: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let mut filter = core::TokenFilter::default();
    apply_filters(&mut filter, filters)?;
    client.get().call(
        py,
        move |client| async move { core::audit(&client, filter).await },
        |py, audit| {
            let findings = audit.findings.into_iter().map(|finding| Finding {
                fix: fix_words(&finding.token_id, &finding.fix),
                token_id: finding.token_id,
                rule: finding.rule,
                severity: finding.severity.to_string(),
                reason: finding.reason,
            });
            Audit {
                tokens: audit.tokens,
                findings: findings.collect(),
            }
            .into_py_any(py)
        },
    )
}

/// What `ensure` found or made.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct Ensured(core::Ensured);

#[pymethods]
impl Ensured {
    #[getter]
    fn token(&self) -> AppToken {
        AppToken(self.0.token.clone())
    }
    #[getter]
    fn created(&self) -> bool {
        self.0.created
    }
    #[getter]
    fn duplicates(&self) -> Vec<String> {
        self.0.duplicates.clone()
    }

    fn __repr__(&self) -> String {
        format!(
            "Ensured({}, created={})",
            self.0.token.id,
            if self.0.created { "True" } else { "False" }
        )
    }
}

/// The token with this description, user and exactly these properties, or a new one.
#[pyfunction]
#[pyo3(signature = (client, *, description, hash_type=Some("SHA256"), session_type=Some(SessionTypeArg(core::SessionType::User)),
    session_duration=None, session_privileges=None, session_user_id=None, expiry=None),
    text_signature = "(client, *, description, hash_type='SHA256', session_type='USER', session_duration=None, \
    session_privileges=None, session_user_id=None, expiry=None)")]
#[expect(
    clippy::too_many_arguments,
    reason = "keyword arguments of a Python function"
)]
pub(crate) fn ensure(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    description: String,
    hash_type: Option<&str>,
    session_type: Option<SessionTypeArg>,
    session_duration: Option<DurationArg>,
    session_privileges: Option<String>,
    session_user_id: Option<String>,
    expiry: Option<InstantArg>,
) -> PyResult<Py<PyAny>> {
    let wanted = new_token(
        Some(description),
        hash_type,
        session_type,
        session_duration,
        session_privileges,
        session_user_id,
        expiry,
    );
    client.get().call(
        py,
        move |client| async move { core::ensure(&client, &wanted).await },
        |py, ensured| Ensured(ensured).into_py_any(py),
    )
}

/// What `revoke` would delete.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct RevocationPlan(core::RevocationPlan);

#[pymethods]
impl RevocationPlan {
    #[getter]
    fn tokens(&self) -> Vec<AppToken> {
        self.0.tokens.iter().cloned().map(AppToken).collect()
    }
    #[getter]
    fn missing(&self) -> Vec<String> {
        self.0.missing.clone()
    }

    fn __repr__(&self) -> String {
        format!(
            "RevocationPlan({} tokens, {} missing)",
            self.0.tokens.len(),
            self.0.missing.len()
        )
    }
}

/// Finds out which tokens would be deleted, and deletes none.
#[pyfunction]
#[pyo3(signature = (client, *, ids=None, created_before=None, description=None, user_id=None))]
pub(crate) fn plan_revocation(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    ids: Option<Vec<String>>,
    created_before: Option<InstantArg>,
    description: Option<String>,
    user_id: Option<String>,
) -> PyResult<Py<PyAny>> {
    let mut filter = core::RevocationFilter::default();
    filter.created_before = created_before.map(|instant| instant.0);
    filter.description = description;
    filter.user_id = user_id;
    let target = match ids {
        Some(_) if filter != core::RevocationFilter::default() => {
            return Err(PyValueError::new_err("give either ids or a filter"));
        }
        Some(ids) => core::RevocationTarget::Ids(ids),
        None => core::RevocationTarget::Filter(filter),
    };
    client.get().call(
        py,
        move |client| async move { core::plan_revocation(&client, &target).await },
        |py, plan| RevocationPlan(plan).into_py_any(py),
    )
}

/// Deletes these tokens; answers, by id, why one is still there, or `None` for one that is gone.
#[pyfunction]
pub(crate) fn revoke(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    ids: Vec<String>,
) -> PyResult<Py<PyAny>> {
    client.get().call(
        py,
        move |client| async move { Ok(core::revoke(&client, &ids, &|_| {}).await) },
        |py, revoked: Vec<core::Revoked>| {
            let outcome = PyDict::new(py);
            for one in revoked {
                let error = one.error.map(|error| to_pyerr(py, &error).into_value(py));
                outcome.set_item(one.id, error)?;
            }
            outcome.into_py_any(py)
        },
    )
}

/// Where a rotation hands the new token over.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct Sink(Arc<dyn core::Sink>);

#[pymethods]
impl Sink {
    /// Standard output, one line of JSON for each.
    #[staticmethod]
    fn stdout() -> Self {
        Self(Arc::new(core::WriterSink::new(std::io::stdout())))
    }

    /// A file of mode 0600, written whole or not at all.
    #[staticmethod]
    fn file(path: PathBuf) -> Self {
        Self(Arc::new(core::FileSink::new(path)))
    }

    /// The standard input of a command.
    #[staticmethod]
    #[pyo3(signature = (program, *arguments))]
    fn command(program: PathBuf, arguments: Vec<String>) -> Self {
        Self(Arc::new(core::CommandSink::new(program, arguments)))
    }

    /// A function that takes the new `AppToken`, with its value, and returns once it is in safe hands.
    ///
    /// It is called on a thread of its own with an empty context. What it raises is a hand-over that
    /// failed: the rotation says the type of it, and resuming calls the function again.
    #[staticmethod]
    fn callable(function: &Bound<'_, PyAny>) -> PyResult<Self> {
        let aside = Aside::new("kaltura-sink", function)?;
        Ok(Self(Arc::new(CallableSink(aside))))
    }
}

/// A function of the program's that takes tokens over.
struct CallableSink(Aside);

impl core::Sink for CallableSink {
    fn deliver(&self, handover: &core::HandOver) -> std::io::Result<()> {
        let token = handover.app_token.clone();
        let delivered = self.0.call(
            |py| PyList::new(py, [token_object(py, token)?]),
            |py, result| result.map(drop).map_err(|error| Aside::name_of(py, &error)),
        );
        match delivered {
            Some(Ok(())) => Ok(()),
            Some(Err(name)) => Err(std::io::Error::other(format!("the sink raised {name}"))),
            None => Err(std::io::Error::other("the interpreter is ending")),
        }
    }
}

/// What one rotation came to.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct Rotated(core::Rotated, PathBuf);

#[pymethods]
impl Rotated {
    #[getter]
    fn old_id(&self) -> &str {
        &self.0.old_id
    }
    #[getter]
    fn new_id(&self) -> Option<&str> {
        self.0.new_id.as_deref()
    }
    #[getter]
    fn state(&self) -> Option<String> {
        self.0.state.map(|state| state.name().to_owned())
    }
    #[getter]
    fn old_deleted(&self) -> bool {
        self.0.old_deleted
    }
    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let error = self.0.error.as_ref()?;
        Some(to_pyerr(py, error).into_value(py).into_any())
    }
    #[getter]
    fn finish(&self) -> Vec<String> {
        match self.0.ways_out.first() {
            Some(core::WayOut::DeleteOld) => command(&["delete", &self.0.old_id]),
            Some(_) => {
                let journal = self.1.display().to_string();
                command(&["rotate", "--resume", "--journal", &journal])
            }
            None => Vec::new(),
        }
    }

    fn __repr__(&self) -> String {
        format!(
            "Rotated({} -> {}, {})",
            self.0.old_id,
            self.0.new_id.as_deref().unwrap_or("?"),
            self.state().unwrap_or_else(|| "not begun".to_owned())
        )
    }
}

fn with_journal(rotated: Vec<core::Rotated>, journal: &Path) -> Vec<Rotated> {
    let rotated = rotated.into_iter();
    rotated
        .map(|one| Rotated(one, journal.to_owned()))
        .collect()
}

/// Told of each step.
struct Progress(Option<Aside>);

impl Progress {
    fn new(function: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let aside = function.map(|function| Aside::new("kaltura-progress", function));
        Ok(Self(aside.transpose()?))
    }

    /// A function that fails does not stop a rotation, but Ctrl-C in the middle of it does.
    fn tell(&self, client: &core::Client, old_id: &str, step: core::RotationStep) {
        let Some(function) = &self.0 else { return };
        let interrupted = function.call(
            |py| PyList::new(py, [old_id, step.name()]),
            |py, result| {
                let Err(error) = result else { return false };
                let interrupted = error.is_instance_of::<PyKeyboardInterrupt>(py);
                // Raised again where the caller waits, which looks out for it.
                let again = || py.import("_thread")?.call_method0("interrupt_main");
                if !interrupted || again().is_err() {
                    error.write_unraisable(py, None);
                }
                interrupted
            },
        );
        if interrupted == Some(true)
            && let Some(cancel) = client.cancel()
        {
            // At once, and not some steps later.
            cancel.trigger();
        }
    }
}

/// Replaces tokens by new ones with the same properties, without downtime.
#[pyfunction]
#[pyo3(signature = (client, ids, *, journal, sink, hash_type=None, expiry=None, delete_now=false,
    delete_after=None, concurrency=4, progress=None))]
#[expect(
    clippy::too_many_arguments,
    reason = "keyword arguments of a Python function"
)]
pub(crate) fn rotate(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    ids: Vec<String>,
    journal: PathBuf,
    sink: &Bound<'_, Sink>,
    hash_type: Option<&str>,
    expiry: Option<InstantArg>,
    delete_now: bool,
    delete_after: Option<DurationArg>,
    concurrency: usize,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let mut options = core::RotateOptions::default();
    options.hash_type = hash_type.map(self::hash_type);
    options.expiry = expiry.map(|instant| instant.0);
    options.old = match (delete_now, delete_after) {
        (false, None) => core::OldToken::Keep,
        (true, None) => core::OldToken::DeleteNow,
        (false, Some(wait)) if wait.0 > Duration::ZERO => core::OldToken::DeleteAfter(wait.0),
        (false, Some(_)) => return Err(PyValueError::new_err("delete_after is 0: use delete_now")),
        (true, Some(_)) => {
            return Err(PyValueError::new_err(
                "give either delete_now or delete_after",
            ));
        }
    };
    let sink = Arc::clone(&sink.get().0);
    let progress = Progress::new(progress)?;
    client.get().call(
        py,
        move |client| {
            blocking::aside(client, "the rotation", async move |client| {
                let journal = core::Journal::open(journal)?;
                core::Rotator::new(&client, &journal, sink)
                    .progress(&|old_id, step| progress.tell(&client, old_id, step))
                    .concurrency(concurrency)
                    .rotate(&ids, &options)
                    .await
                    .map(|rotated| with_journal(rotated, journal.path()))
            })
        },
        |py, rotated: Vec<Rotated>| rotated.into_py_any(py),
    )
}

/// Ends the rotations that a journal has as unfinished, or undoes them.
#[pyfunction]
#[pyo3(signature = (client, *, journal, sink, undo=false, progress=None))]
pub(crate) fn resume_rotations(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    journal: PathBuf,
    sink: &Bound<'_, Sink>,
    undo: bool,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let how = if undo {
        core::Resume::Undo
    } else {
        core::Resume::Finish
    };
    let sink = Arc::clone(&sink.get().0);
    let progress = Progress::new(progress)?;
    client.get().call(
        py,
        move |client| {
            blocking::aside(client, "the rotation", async move |client| {
                let journal = core::Journal::open(journal)?;
                core::Rotator::new(&client, &journal, sink)
                    .progress(&|old_id, step| progress.tell(&client, old_id, step))
                    .resume(how)
                    .await
                    .map(|rotated| with_journal(rotated, journal.path()))
            })
        },
        |py, rotated: Vec<Rotated>| rotated.into_py_any(py),
    )
}
