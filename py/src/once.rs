//! What is looked up once in Python and kept. Without waiting: a thread that is looking it up while
//! another one forks is not in the child, which would wait for it for ever.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::PyType;

/// A Python object that is the same for the life of the process.
pub(crate) struct Once<T>(OnceLock<Py<T>>);

impl<T> Once<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// What is kept, if anything is yet.
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, T>> {
        self.0.get().map(|kept| kept.bind(py))
    }

    /// What is kept, or else what `look_up` finds; several threads may look at the same time.
    pub(crate) fn get_or<'py>(
        &self,
        py: Python<'py>,
        look_up: impl FnOnce() -> PyResult<Bound<'py, T>>,
    ) -> PyResult<&Bound<'py, T>> {
        if self.0.get().is_none() {
            let found = look_up()?.unbind();
            // Another thread's is as good.
            let _ = self.0.set(found);
        }
        Ok(self.get(py).expect("it has just been set"))
    }
}

impl Once<PyType> {
    /// A class of a module.
    pub(crate) fn class<'py>(
        &self,
        py: Python<'py>,
        module: &str,
        name: &str,
    ) -> PyResult<&Bound<'py, PyType>> {
        self.get_or(py, || {
            Ok(py.import(module)?.getattr(name)?.cast_into::<PyType>()?)
        })
    }
}
