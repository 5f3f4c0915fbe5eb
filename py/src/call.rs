//! A call of the core from Python: waited for without the interpreter and looking up for Ctrl-C about
//! every 50 ms, or, where there is an event loop's queue, submitted and answered with its number there.

use std::future::Future;

use kaltura_app_token as core;
use kaltura_app_token::blocking;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use crate::errors::to_pyerr;
use crate::interpreter::{self, Inside, contained};
use crate::logging;
use crate::patience::Wait;
use crate::queue::LoopQueue;

/// Waits for the core without the interpreter; a signal handler that raises cancels the call. Answers
/// what it raised beside the value of a call that was faster.
pub(crate) fn wait<T: Send>(
    inside: &Inside<'_>,
    wait: impl FnOnce(&core::Cancel, blocking::Tick<'_>) -> core::Result<T> + Send,
) -> PyResult<(T, Option<PyErr>)> {
    let py = inside.py();
    // Only there does Python run signal handlers; other threads look up for what is to be logged.
    let handles_signals = interpreter::is_main_thread(py)?;
    let mut raised = None;
    let mut patience = Wait::begin();
    let look_up = |py: Python<'_>| {
        logging::pass_on(py)?;
        py.check_signals()
    };
    let result = inside.detach(|| {
        let mut tick = || {
            if !handles_signals && !logging::is_waiting() {
                return true;
            }
            let still_waiting = |py: Python<'_>| {
                if handles_signals {
                    patience.goes_on(py);
                }
                look_up(py)
            };
            match interpreter::attach(still_waiting) {
                Some(Err(signal)) => {
                    raised = Some(signal);
                    false
                }
                Some(Ok(())) | None => true,
            }
        };
        wait(&core::Cancel::new(), &mut tick)
    })?;
    patience.ends(py);
    if raised.is_none() {
        // What came since it looked up last: later it would find the result gone.
        raised = look_up(py).err();
    }
    match (result, raised) {
        (Ok(value), raised) => Ok((value, raised)),
        // Ctrl-C wins, but what it left in doubt is not lost.
        (Err(error), Some(signal)) => {
            if error.kind() == core::ErrorKind::OutcomeUnknown {
                signal.set_cause(py, Some(to_pyerr(py, &error)));
            }
            Err(signal)
        }
        (Err(error), None) => Err(to_pyerr(py, &error)),
    }
}

/// Makes a call: its result, or its number where there is a queue.
pub(crate) fn make_call<T, F>(
    py: Python<'_>,
    client: &blocking::Client,
    queue: Option<&Py<LoopQueue>>,
    call: impl FnOnce(core::Client) -> F + Send + 'static,
    convert: fn(Python<'_>, T) -> PyResult<Py<PyAny>>,
) -> PyResult<Py<PyAny>>
where
    T: Send + 'static,
    F: Future<Output = core::Result<T>> + Send + 'static,
{
    let inside = Inside::enter(py);
    logging::follow(py)?;
    if let Some(queue) = queue {
        return queue
            .get()
            .submit(py, client, call, convert)?
            .into_py_any(py);
    }
    let (value, raised) = wait(&inside, |cancel, tick| {
        client.run(cancel, Some(tick), async move |client| call(client).await)
    })?;
    let value = contained(|| convert(py, value))??;
    let Some(signal) = raised else {
        return Ok(value);
    };
    // It was done all the same: whoever looks at the cause finds, say, the id of a token.
    let done = format!(
        "the call had ended when it was interrupted, with {}",
        value.bind(py).repr()?
    );
    let cause = py
        .import("kaltura_app_token.errors")?
        .getattr("CancelledError")?
        .call1((done,))?;
    signal.set_cause(py, Some(PyErr::from_value(cause)));
    Err(signal)
}
