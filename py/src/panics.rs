//! Panics on demand, in builds with debug assertions: for the tests of what a panic is to Python. A wheel
//! for distribution is built without them.

use pyo3::prelude::*;

use crate::client::Client;

/// Panics wherever it is asked to.
#[pyclass(frozen)]
pub(crate) struct Panics;

#[pymethods]
#[expect(clippy::unused_self, reason = "Python calls them on an instance")]
impl Panics {
    #[new]
    fn new() -> Self {
        Self
    }

    #[getter]
    fn value(&self) -> usize {
        panic!("on purpose")
    }

    fn method(&self) {
        panic!("on purpose")
    }

    /// In the core.
    fn call(&self, py: Python<'_>, client: &Bound<'_, Client>) -> PyResult<Py<PyAny>> {
        let panics = |_| async { panic!("on purpose") };
        client.get().call(py, panics, |py, ()| Ok(py.None()))
    }

    /// Where the core's answer becomes Python's.
    fn answer(&self, py: Python<'_>, client: &Bound<'_, Client>) -> PyResult<Py<PyAny>> {
        let answers = |_| async { Ok(()) };
        client.get().call(py, answers, |_, ()| panic!("on purpose"))
    }
}
