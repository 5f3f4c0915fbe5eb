//! The core's log, passed on to Python's logger `kaltura_app_token`.
//!
//! Nothing is passed on before the program itself has imported `logging`, and nothing below the level
//! that its logger wants. The core has masked what must not be shown.

use log::{LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::interpreter;

const NAME: &str = "kaltura_app_token";
/// Python's numbers for its levels.
const DEBUG: i64 = 10;
const WARNING: i64 = 30;

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
        // Not while the interpreter ends; and a handler that fails must not fail the call.
        let _ = interpreter::attach(|py| -> PyResult<()> {
            if let Some(logger) = logger(py)? {
                logger.call_method1("log", (level, "%s", record.args().to_string()))?;
            }
            Ok(())
        });
    }

    fn flush(&self) {}
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
