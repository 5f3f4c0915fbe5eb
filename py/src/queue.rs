//! Calls of an event loop: submitted to the core's queue, and collected when its descriptor says so.
//! Knows neither loops nor futures, which are `kaltura_app_token/aio.py`'s, and holds no object of theirs.

use std::future::Future;
#[cfg(unix)]
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use kaltura_app_token as core;
use kaltura_app_token::blocking;
use pyo3::exceptions::{PyBaseException, PyNotImplementedError, PyRuntimeError};
use pyo3::prelude::*;

use crate::apart::Apart;
use crate::errors::{OrRaise, to_pyerr};
use crate::interpreter::{Inside, contained, failed_inside};
use crate::logging;

/// Makes the Python value of a result, once the interpreter is at hand.
type Convert = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What came of a call: its number, and what it answered or raised.
type Ended = (u64, Option<Py<PyAny>>, Option<Py<PyBaseException>>);

/// More calls than any program has open; the loop is what should limit them.
const MANY: usize = 1 << 20;

/// The calls of one client on one event loop.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct LoopQueue(Apart<core::Queue<(), Convert>>);

#[pymethods]
impl LoopQueue {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        if cfg!(not(unix)) {
            return Err(PyNotImplementedError::new_err(
                "event loops of this system watch no descriptors, which AsyncClient needs: \
                 call the methods of a Client with asyncio.to_thread",
            ));
        }
        core::Queue::new(MANY)
            .or_raise(py)
            .map(|queue| Self(Apart::new(queue)))
    }

    /// The descriptor that is readable while a result waits.
    #[cfg(unix)]
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        Ok(self.0.descriptor().or_raise(py)?.as_raw_fd())
    }

    /// Gives a call up. Its result comes all the same.
    fn cancel(&self, py: Python<'_>, operation: u64) -> PyResult<()> {
        let _inside = Inside::enter(py);
        self.0.cancel(operation).or_raise(py)
    }

    /// The next result, if one waits. Each call has exactly one.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Ended>> {
        let _inside = Inside::enter(py);
        let Some(completion) = self.0.next(Some(Duration::ZERO)).or_raise(py)? else {
            logging::pass_on(py)?;
            return Ok(None);
        };
        let answer = match completion.result {
            Some(Ok(convert)) => contained(|| convert(py)).and_then(|answer| answer),
            Some(Err(error)) => Err(to_pyerr(py, &error)),
            None => Err(failed_inside()),
        };
        let (value, error) = match answer {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(error.into_value(py))),
        };
        Ok(Some((completion.operation, value, error)))
    }
}

impl LoopQueue {
    /// Submits a call and gives its number.
    pub(crate) fn submit<T, F>(
        &self,
        py: Python<'_>,
        client: &blocking::Client,
        call: impl FnOnce(core::Client) -> F,
        convert: fn(Python<'_>, T) -> PyResult<Py<PyAny>>,
    ) -> PyResult<u64>
    where
        T: Send + 'static,
        F: Future<Output = core::Result<T>> + Send + 'static,
    {
        let submitted = self.0.submit(client, (), |client| {
            let call = call(client);
            async move {
                let value = call.await?;
                let convert: Convert = Box::new(move |py| convert(py, value));
                Ok(convert)
            }
        });
        submitted.map_err(|refused| match refused {
            core::Refused::Failed(error) => to_pyerr(py, &error),
            _ => PyRuntimeError::new_err("too many calls are under way"),
        })
    }
}
