//! Calls of an event loop: submitted to the core's queue, collected when its descriptor says so, and
//! answered through the loop's own futures. Nothing here runs on another thread than the loop's.

use std::future::Future;
#[cfg(unix)]
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use kaltura_app_token as core;
use kaltura_app_token::blocking;
use pyo3::exceptions::{PyNotImplementedError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::apart::Apart;
use crate::errors::{OrRaise, to_pyerr};
use crate::interpreter::{Inside, failed_inside};
use crate::logging;

/// Makes the Python value of a result, once the interpreter is at hand.
type Convert = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// More calls than any program has open; the loop is what should limit them.
const MANY: usize = 1 << 20;

static GET_RUNNING_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The queue of one event loop.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct LoopQueue(Apart<Arc<core::Queue<Py<PyAny>, Convert>>>);

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
            .map(|queue| Self(Apart::new(Arc::new(queue))))
    }

    /// The descriptor that is readable while a result waits.
    #[cfg(unix)]
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        Ok(self.0.descriptor().or_raise(py)?.as_raw_fd())
    }

    /// Cancels every call that is under way; their futures are answered all the same.
    fn cancel_all(&self, py: Python<'_>) -> PyResult<()> {
        self.0.cancel_all().or_raise(py)
    }

    /// How many calls have not been answered yet.
    fn in_flight(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.in_flight().or_raise(py)
    }

    /// Hands every result that waits to its future.
    fn collect(&self, py: Python<'_>) -> PyResult<()> {
        let _inside = Inside::enter(py);
        while let Some(completion) = self.0.next(Some(Duration::ZERO)).or_raise(py)? {
            let future = completion.tag.bind(py);
            if future.call_method0("done")?.is_truthy()? {
                // Cancelled meanwhile, and nobody waits for it any more. What it did is not lost.
                if let Some(Ok(convert)) = completion.result {
                    let value = convert(py)?;
                    log::warn!(
                        "a call that was cancelled had succeeded: {}",
                        value.bind(py).repr()?
                    );
                }
                continue;
            }
            let answer = match completion.result {
                Some(Ok(convert)) => convert(py),
                Some(Err(error)) => Err(to_pyerr(py, &error)),
                None => Err(failed_inside()),
            };
            match answer {
                Ok(value) => future.call_method1("set_result", (value,))?,
                Err(error) => future.call_method1("set_exception", (error.into_value(py),))?,
            };
        }
        logging::pass_on(py)
    }
}

impl LoopQueue {
    /// Submits a call and gives the future of its result.
    pub(crate) fn submit<T, F>(
        queue: &Bound<'_, Self>,
        client: &blocking::Client,
        call: impl FnOnce(core::Client) -> F,
        convert: fn(Python<'_>, T) -> PyResult<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>>
    where
        T: Send + 'static,
        F: Future<Output = core::Result<T>> + Send + 'static,
    {
        let py = queue.py();
        let running_loop = GET_RUNNING_LOOP
            .get_or_try_init(py, || {
                py.import("asyncio")?
                    .getattr("get_running_loop")
                    .map(Bound::unbind)
            })?
            .bind(py)
            .call0()?;
        let future = running_loop.call_method0("create_future")?;
        let submitted = queue
            .get()
            .0
            .submit(client, future.clone().unbind(), |client| {
                let call = call(client);
                async move {
                    let value = call.await?;
                    let convert: Convert = Box::new(move |py| convert(py, value));
                    Ok(convert)
                }
            });
        let operation = submitted.map_err(|refused| match refused {
            core::Refused::Failed(error) => to_pyerr(py, &error),
            _ => PyRuntimeError::new_err("too many calls are under way"),
        })?;
        let queue = Arc::downgrade(&queue.get().0);
        future.call_method1("add_done_callback", (GiveUp { queue, operation },))?;
        Ok(future.unbind())
    }
}

/// Gives a call up when its future is cancelled.
#[pyclass(frozen)]
struct GiveUp {
    // Weak: the queue holds the future, and the future holds this.
    queue: Weak<core::Queue<Py<PyAny>, Convert>>,
    operation: u64,
}

#[pymethods]
impl GiveUp {
    fn __call__(&self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let _inside = Inside::enter(future.py());
        if future.call_method0("cancelled")?.is_truthy()?
            && let Some(queue) = self.queue.upgrade()
        {
            queue.cancel(self.operation).or_raise(future.py())?;
        }
        Ok(())
    }
}
