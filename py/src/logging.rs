//! The core's log, passed on to Python's logger `kaltura_app_token`.
//!
//! Nothing is passed on before the program itself has imported `logging`, and nothing below the level
//! that its logger wants. The core has masked what must not be shown. Handlers are code of the
//! program's: what is said inside of the runtime waits until a thread is outside of it, which for calls
//! of an event loop is when one of them ends.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use log::{LevelFilter, Log, Metadata, Record};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyDict;

const NAME: &str = "kaltura_app_token";
/// Python's numbers for its levels.
const DEBUG: i64 = 10;
const WARNING: i64 = 30;

/// What was said and not passed on yet. Without a lock, which a fork could leave held.
static WAITING: ArcSwapOption<Vec<(i64, String)>> = ArcSwapOption::const_empty();
/// More than is said before somebody passes it on.
const MOST: usize = 1000;

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
            _ => DEBUG,
        };
        WAITING.rcu(|waiting| {
            let mut lines = waiting.as_deref().cloned().unwrap_or_default();
            if lines.len() < MOST {
                lines.push((level, record.args().to_string()));
            }
            Some(Arc::new(lines))
        });
    }

    fn flush(&self) {}
}

/// Whether something waits to be passed on.
pub(crate) fn is_waiting() -> bool {
    WAITING.load().is_some()
}

/// Passes on what waits.
///
/// # Errors
/// Ctrl-C in a handler, and what else is no `Exception`. A handler that fails must not fail the call.
pub(crate) fn pass_on(py: Python<'_>) -> PyResult<()> {
    let Some(lines) = WAITING.swap(None) else {
        return Ok(());
    };
    let Some(logger) = logger(py)? else {
        return Ok(());
    };
    for (at, (level, line)) in lines.iter().enumerate() {
        match logger.call_method1("log", (*level, "%s", line)) {
            Err(error) if !error.is_instance_of::<PyException>(py) => {
                // The others are for whoever looks next.
                WAITING.rcu(|later| {
                    let later = later.iter().flat_map(|lines| lines.iter());
                    Some(Arc::new(
                        lines[at + 1..].iter().chain(later).cloned().collect(),
                    ))
                });
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The logger, once the program has imported `logging`.
fn logger(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let modules = py.import("sys")?.getattr("modules")?;
    match modules.cast::<PyDict>()?.get_item("logging")? {
        Some(logging) => logging.call_method1("getLogger", (NAME,)).map(Some),
        None => Ok(None),
    }
}

/// Takes over the level that the program wants now; called before each call, so that `logging` can be
/// set up at any time.
pub(crate) fn follow(py: Python<'_>) -> PyResult<()> {
    pass_on(py)?;
    let wanted = match logger(py)? {
        Some(logger) => match logger.call_method0("getEffectiveLevel")?.extract::<i64>()? {
            level if level <= DEBUG => LevelFilter::Debug,
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
