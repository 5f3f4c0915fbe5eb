//! What the core says of itself, passed on to Python: its log to the logger `kaltura_app_token`, its
//! events to the function that a client was given.
//!
//! No line is passed on before the program itself has imported `logging`, and none below the level
//! that its logger wants. The core has masked what must not be shown. Handlers and functions are code of
//! the program's: what is said inside of the runtime waits until a thread is outside of it, which for calls
//! of an event loop is when one of them ends.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use kaltura_app_token as core;
use log::{LevelFilter, Log, Metadata, Record};
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::errors::to_pyerr;
use crate::once::Once;

const NAME: &str = "kaltura_app_token";
/// Python's numbers for its levels.
const DEBUG: i64 = 10;
const INFO: i64 = 20;
const WARNING: i64 = 30;

/// What is to be passed on.
#[derive(Clone)]
enum Said {
    Line(i64, Arc<str>),
    Event(Arc<Py<PyAny>>, Arc<core::Event>),
}

/// What was said and not passed on yet. Without a lock, which a fork could leave held.
static WAITING: ArcSwapOption<Vec<Said>> = ArcSwapOption::const_empty();
/// More than is said before somebody passes it on.
const MOST: usize = 1000;

static LOGGER: Once<PyAny> = Once::new();

fn say(said: &Said) {
    WAITING.rcu(|waiting| {
        let mut all = waiting.as_deref().cloned().unwrap_or_default();
        if all.len() < MOST {
            all.push(said.clone());
        }
        Some(Arc::new(all))
    });
}

struct Bridge;

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level() && metadata.target().starts_with(NAME)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            log::Level::Error | log::Level::Warn => WARNING,
            log::Level::Info => INFO,
            _ => DEBUG,
        };
        say(&Said::Line(level, record.args().to_string().into()));
    }

    fn flush(&self) {}
}

/// What takes a client's events for a function of the program's.
pub(crate) fn listener(
    function: &Bound<'_, PyAny>,
) -> PyResult<impl Fn(&core::Event) + Send + Sync + 'static> {
    if !function.is_callable() {
        return Err(PyTypeError::new_err(format!(
            "on_event: expected a function, not {}",
            function.get_type().name()?
        )));
    }
    let function = Arc::new(function.clone().unbind());
    Ok(move |event: &core::Event| {
        say(&Said::Event(Arc::clone(&function), Arc::new(event.clone())));
    })
}

/// Whether something waits to be passed on.
pub(crate) fn is_waiting() -> bool {
    WAITING.load().is_some()
}

/// Passes on what waits.
///
/// # Errors
/// Ctrl-C in a handler or function, and what else is no `Exception`. One that fails must not fail the
/// call.
pub(crate) fn pass_on(py: Python<'_>) -> PyResult<()> {
    let Some(all) = WAITING.swap(None) else {
        return Ok(());
    };
    for (at, said) in all.iter().enumerate() {
        let Err(error) = pass_one_on(py, said) else {
            continue;
        };
        if !error.is_instance_of::<PyException>(py) {
            // The others are for whoever looks next.
            WAITING.rcu(|later| {
                let later = later.iter().flat_map(|all| all.iter());
                Some(Arc::new(
                    all[at + 1..].iter().chain(later).cloned().collect(),
                ))
            });
            return Err(error);
        }
        if let Said::Event(function, _) = said {
            error.write_unraisable(py, Some(function.bind(py)));
        }
    }
    Ok(())
}

fn pass_one_on(py: Python<'_>, said: &Said) -> PyResult<()> {
    match said {
        Said::Line(level, line) => {
            if let Some(logger) = logger(py)? {
                logger.call_method1("log", (*level, "%s", &**line))?;
            }
        }
        Said::Event(function, event) => {
            function.call1(py, (event_object(py, event)?,))?;
        }
    }
    Ok(())
}

fn event_object<'py>(py: Python<'py>, event: &core::Event) -> PyResult<Bound<'py, PyAny>> {
    let fields = PyDict::new(py);
    let error = |error: &core::Error| to_pyerr(py, error).into_value(py);
    let name = match event {
        core::Event::Retry {
            request,
            attempts,
            error: failure,
            wait,
        } => {
            fields.set_item("request", request)?;
            fields.set_item("attempts", attempts)?;
            fields.set_item("error", error(failure))?;
            fields.set_item("wait", wait.as_secs_f64())?;
            "Retry"
        }
        core::Event::SessionFetched { request } => {
            fields.set_item("request", request)?;
            "SessionFetched"
        }
        core::Event::DroppedPrivileges {
            request,
            privileges,
        } => {
            fields.set_item("request", request)?;
            fields.set_item("privileges", PyTuple::new(py, privileges)?)?;
            "DroppedPrivileges"
        }
        core::Event::InDoubt { error: failure } => {
            fields.set_item("error", error(failure))?;
            "InDoubt"
        }
        core::Event::CallsFail { error: failure } => {
            fields.set_item("error", error(failure))?;
            "CallsFail"
        }
        core::Event::CallsSucceed { lasted } => {
            fields.set_item("lasted", lasted.as_secs_f64())?;
            "CallsSucceed"
        }
        core::Event::OutageBegan {
            token_id,
            error: failure,
        } => {
            fields.set_item("token_id", token_id)?;
            fields.set_item("error", error(failure))?;
            "OutageBegan"
        }
        core::Event::OutageEnded { token_id, lasted } => {
            fields.set_item("token_id", token_id)?;
            fields.set_item("lasted", lasted.as_secs_f64())?;
            "OutageEnded"
        }
        core::Event::RenewalFailed { error: failure } => {
            fields.set_item("error", error(failure))?;
            "RenewalFailed"
        }
        // What a later core may add has a text at least.
        _ => "Other",
    };
    fields.set_item("name", name)?;
    fields.set_item("text", event.to_string())?;
    py.import("kaltura_app_token.observe")?
        .getattr("Event")?
        .call((), Some(&fields))
}

/// The logger, once the program has imported `logging`. A program that sets up nothing sees nothing:
/// without a handler of its own Python would print warnings.
fn logger(py: Python<'_>) -> PyResult<Option<&Bound<'_, PyAny>>> {
    if let Some(known) = LOGGER.get(py) {
        return Ok(Some(known));
    }
    let modules = py.import("sys")?.getattr("modules")?;
    let Some(logging) = modules.cast::<PyDict>()?.get_item("logging")? else {
        return Ok(None);
    };
    let (Ok(handler), Ok(get_logger)) =
        (logging.getattr("NullHandler"), logging.getattr("getLogger"))
    else {
        // Another thread is importing it right now.
        return Ok(None);
    };
    let logger = get_logger.call1((NAME,))?;
    logger.call_method1("addHandler", (handler.call0()?,))?;
    LOGGER.get_or(py, || Ok(logger)).map(Some)
}

/// Takes over the level that the program wants now; called before each call, so that `logging` can be
/// set up at any time.
pub(crate) fn follow(py: Python<'_>) -> PyResult<()> {
    pass_on(py)?;
    let wanted = match logger(py)? {
        Some(logger) => match logger.call_method0("getEffectiveLevel")?.extract::<i64>()? {
            level if level <= DEBUG => LevelFilter::Debug,
            level if level <= INFO => LevelFilter::Info,
            level if level <= WARNING => LevelFilter::Warn,
            _ => LevelFilter::Off,
        },
        None => LevelFilter::Off,
    };
    if wanted != LevelFilter::Off {
        // The second time it is set already.
        let _ = log::set_logger(&Bridge);
    }
    log::set_max_level(wanted);
    Ok(())
}
