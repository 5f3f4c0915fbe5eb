//! Rotation, finding or creating, auditing and revoking: the core's workflows as functions of a client.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kaltura_app_token as core;
use kaltura_app_token::blocking;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::aside::Aside;
use crate::client::Client;
use crate::convert::{Argument, Given, Instant, config_error, given};
use crate::errors::to_pyerr;
use crate::fields::{apply_filters, new_token};
use crate::fill::build;
use crate::model::{Built, TokenIds, each, token};

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

/// Judges every token that passes the filter. Their values stay on the server.
#[pyfunction]
#[pyo3(signature = (client, **filters))]
pub(crate) fn audit(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    filters: Option<&Bound<'_, PyDict>>,
) -> Built {
    let mut filter = core::TokenFilter::default();
    apply_filters(&mut filter, filters)?;
    client.get().call(
        py,
        move |client| async move { core::audit(&client, filter).await },
        |py, audit| {
            build!(
                py,
                Audit {
                    tokens: audit.tokens,
                    findings: each(py, audit.findings, finding)?,
                }
            )
            .map(Bound::unbind)
        },
    )
}

fn finding(py: Python<'_>, finding: core::Finding) -> Built {
    let fix = fix_words(&finding.token_id, &finding.fix);
    build!(
        py,
        Finding {
            token_id: finding.token_id,
            rule: finding.rule,
            severity: finding.severity.to_string(),
            reason: finding.reason,
            fix: PyTuple::new(py, fix)?,
        }
    )
    .map(Bound::unbind)
}

#[doc = concat!("ensure(client, *, ", wanted_fields!(), ")\n--\n")]
/// The token with this description, user and exactly these properties, or a new one.
#[pyfunction]
#[pyo3(signature = (client, *, description, **fields), text_signature = None)]
pub(crate) fn ensure(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    description: &Bound<'_, PyAny>,
    fields: Option<&Bound<'_, PyDict>>,
) -> Built {
    let description = String::read("description", description)?;
    let wanted = new_token(fields)?.description(description);
    client.get().call(
        py,
        move |client| async move { core::ensure(&client, &wanted).await },
        |py, ensured| {
            build!(
                py,
                Ensured {
                    token: token(py, ensured.token)?,
                    created: ensured.created,
                    duplicates: PyTuple::new(py, ensured.duplicates)?,
                }
            )
            .map(Bound::unbind)
        },
    )
}

/// Finds out which tokens would be deleted, and deletes none.
#[pyfunction]
#[pyo3(signature = (client, *, ids=None, created_before=None, description=None, user_id=None))]
pub(crate) fn plan_revocation(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    ids: Given<'_, '_>,
    created_before: Given<'_, '_>,
    description: Given<'_, '_>,
    user_id: Given<'_, '_>,
) -> Built {
    let created_before: Option<Instant> = given("created_before", created_before)?;
    let mut filter = core::RevocationFilter::default();
    filter.created_before = created_before.map(|instant| instant.0);
    filter.description = given("description", description)?;
    filter.user_id = given("user_id", user_id)?;
    let target = match given("ids", ids)? {
        Some(_) if filter != core::RevocationFilter::default() => {
            return Err(config_error(py, "give either ids or a filter"));
        }
        Some(TokenIds(ids)) => core::RevocationTarget::Ids(ids),
        None => core::RevocationTarget::Filter(filter),
    };
    client.get().call(
        py,
        move |client| async move { core::plan_revocation(&client, &target).await },
        |py, plan| {
            build!(
                py,
                RevocationPlan {
                    tokens: each(py, plan.tokens, token)?,
                    missing: PyTuple::new(py, plan.missing)?,
                }
            )
            .map(Bound::unbind)
        },
    )
}

/// Deletes these tokens, or those of a plan; answers, by id, why one is still there, or `None` for one that is gone.
#[pyfunction]
pub(crate) fn revoke(py: Python<'_>, client: &Bound<'_, Client>, ids: &Bound<'_, PyAny>) -> Built {
    let TokenIds(ids) = Argument::read("ids", ids)?;
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
    fn file(path: &Bound<'_, PyAny>) -> PyResult<Self> {
        let path = PathBuf::read("path", path)?;
        Ok(Self(Arc::new(core::FileSink::new(path))))
    }

    /// The standard input of a command.
    #[staticmethod]
    #[pyo3(signature = (program, *arguments))]
    fn command(program: &Bound<'_, PyAny>, arguments: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let program = PathBuf::read("program", program)?;
        let arguments = Vec::<String>::read("arguments", arguments)?;
        Ok(Self(Arc::new(core::CommandSink::new(program, arguments))))
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
            |py| PyList::new(py, [self::token(py, token)?]),
            |py, result| result.map(drop).map_err(|error| Aside::name_of(py, &error)),
        );
        match delivered {
            Some(Ok(())) => Ok(()),
            Some(Err(name)) => Err(std::io::Error::other(format!("the sink raised {name}"))),
            None => Err(std::io::Error::other("the interpreter is ending")),
        }
    }
}

/// What one rotation came to, with the journal that has it.
fn rotated(py: Python<'_>, journal: &Path, rotated: core::Rotated) -> Built {
    let finish = match rotated.ways_out.first() {
        Some(core::WayOut::DeleteOld) => command(&["delete", &rotated.old_id]),
        Some(_) => {
            let journal = journal.display().to_string();
            command(&["rotate", "--resume", "--journal", &journal])
        }
        None => Vec::new(),
    };
    build!(
        py,
        Rotated {
            old_id: rotated.old_id,
            new_id: rotated.new_id,
            state: rotated.state.map(core::RotationState::name),
            old_deleted: rotated.old_deleted,
            error: rotated
                .error
                .map(|error| to_pyerr(py, &error).into_value(py)),
            finish: PyTuple::new(py, finish)?,
        }
    )
    .map(Bound::unbind)
}

fn all_rotated(py: Python<'_>, (outcomes, journal): (Vec<core::Rotated>, PathBuf)) -> Built {
    let one = |py, outcome| rotated(py, &journal, outcome);
    each(py, outcomes, one)?.to_list().into_py_any(py)
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
#[pyo3(signature = (client, ids, *, journal, sink, hash_type=None, expiry=None, delete_now=None,
    delete_after=None, concurrency=None, progress=None),
    text_signature = "(client, ids, *, journal, sink, hash_type=None, expiry=None, delete_now=False, \
    delete_after=None, concurrency=4, progress=None)")]
#[expect(
    clippy::too_many_arguments,
    reason = "keyword arguments of a Python function"
)]
pub(crate) fn rotate(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    ids: &Bound<'_, PyAny>,
    journal: &Bound<'_, PyAny>,
    sink: &Bound<'_, Sink>,
    hash_type: Given<'_, '_>,
    expiry: Given<'_, '_>,
    delete_now: Given<'_, '_>,
    delete_after: Given<'_, '_>,
    concurrency: Given<'_, '_>,
    progress: Given<'_, '_>,
) -> Built {
    let TokenIds(ids) = Argument::read("ids", ids)?;
    let journal = PathBuf::read("journal", journal)?;
    let concurrency = given("concurrency", concurrency)?.unwrap_or(4);
    let expiry: Option<Instant> = given("expiry", expiry)?;
    let delete_now = given("delete_now", delete_now)?.unwrap_or_default();
    let delete_after: Option<Duration> = given("delete_after", delete_after)?;
    let mut options = core::RotateOptions::default();
    options.hash_type = given("hash_type", hash_type)?;
    options.expiry = expiry.map(|instant| instant.0);
    options.old = match (delete_now, delete_after) {
        (false, None) => core::OldToken::Keep,
        (true, None) => core::OldToken::DeleteNow,
        (false, Some(wait)) if wait > Duration::ZERO => core::OldToken::DeleteAfter(wait),
        (false, Some(_)) => return Err(config_error(py, "delete_after is 0: use delete_now")),
        (true, Some(_)) => {
            return Err(config_error(py, "give either delete_now or delete_after"));
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
                    .map(|rotated| (rotated, journal.path().to_owned()))
            })
        },
        all_rotated,
    )
}

/// Ends the rotations that a journal has as unfinished, or undoes them.
#[pyfunction]
#[pyo3(signature = (client, *, journal, sink, undo=None, progress=None),
    text_signature = "(client, *, journal, sink, undo=False, progress=None)")]
pub(crate) fn resume_rotations(
    py: Python<'_>,
    client: &Bound<'_, Client>,
    journal: &Bound<'_, PyAny>,
    sink: &Bound<'_, Sink>,
    undo: Given<'_, '_>,
    progress: Given<'_, '_>,
) -> Built {
    let journal = PathBuf::read("journal", journal)?;
    let undo = given("undo", undo)?.unwrap_or_default();
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
                    .map(|rotated| (rotated, journal.path().to_owned()))
            })
        },
        all_rotated,
    )
}
