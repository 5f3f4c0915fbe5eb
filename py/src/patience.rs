//! A call that takes long, and who is told of it while it does: the command, for the person at its
//! terminal. Knows nothing of what is waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use pyo3::prelude::*;

const LONG: Duration = Duration::from_secs(1);

static LISTENER: ArcSwapOption<Py<PyAny>> = ArcSwapOption::const_empty();

/// Has `function` called while a call of the main thread takes longer than a second, with the seconds so
/// far, and with `None` when that call ends; `None` in its place: nobody is told any more.
#[pyfunction]
pub(crate) fn tell_of_waits(function: Option<Py<PyAny>>) {
    LISTENER.store(function.map(Arc::new));
}

/// One call.
pub(crate) struct Wait {
    begun: Instant,
    told: bool,
}

impl Wait {
    pub(crate) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            told: false,
        }
    }

    /// It is still under way.
    pub(crate) fn goes_on(&mut self, py: Python<'_>) {
        let waited = self.begun.elapsed();
        if waited >= LONG {
            self.told = true;
            tell(py, Some(waited.as_secs_f64()));
        }
    }

    /// It is over.
    pub(crate) fn ends(&self, py: Python<'_>) {
        if self.told {
            tell(py, None);
        }
    }
}

fn tell(py: Python<'_>, waited: Option<f64>) {
    if let Some(listener) = LISTENER.load_full()
        && let Err(error) = listener.call1(py, (waited,))
    {
        // What it does is no reason for a call to fail.
        error.write_unraisable(py, None);
    }
}
