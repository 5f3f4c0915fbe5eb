//! Calls of the program's functions, on Python threads of their own: see `kaltura_app_token/_aside.py`.

use std::sync::mpsc;

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyList};

use crate::interpreter::{self, Inside};

/// A function of the program's.
pub(crate) struct Aside(Py<PyAny>);

impl Aside {
    pub(crate) fn new(name: &str, function: &Bound<'_, PyAny>) -> PyResult<Self> {
        let module = function.py().import("kaltura_app_token._aside")?;
        module
            .call_method1("Aside", (name, function))
            .map(|aside| Self(aside.unbind()))
    }

    /// The name of what a call of the function raised, and not its text, which may quote what it handled.
    pub(crate) fn name_of(py: Python<'_>, error: &PyErr) -> String {
        let name = error.get_type(py).name().map(|name| name.to_string());
        name.unwrap_or_default()
    }

    /// Calls the function and waits for what `finish` makes of its result; `None` once the interpreter
    /// ends. To be called without the interpreter, on a thread that may wait.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        arguments: impl FnOnce(Python<'_>) -> PyResult<Bound<'_, PyList>>,
        finish: fn(Python<'_>, PyResult<Bound<'_, PyAny>>) -> T,
    ) -> Option<T> {
        let (sender, receiver) = mpsc::channel();
        let started = interpreter::attach(|py| {
            let unstarted = sender.clone();
            let reply = PyCFunction::new_closure(py, None, None, move |reply, _| -> PyResult<()> {
                let inside = Inside::enter(reply.py());
                let (result, error) = reply.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
                let result = if error.is_none() {
                    Ok(result)
                } else {
                    Err(PyErr::from_value(error))
                };
                // Nobody may be waiting any more.
                let _ = sender.send(finish(inside.py(), result));
                Ok(())
            });
            let start = |reply| {
                let arguments = arguments(py)?;
                self.0.call_method1(py, "start", (arguments, reply))
            };
            if let Err(error) = reply.and_then(start) {
                let _ = unstarted.send(finish(py, Err(error)));
            }
        });
        started.and_then(|()| receiver.recv().ok())
    }
}
