//! Frozen Python objects, filled from here: past `__init__`, and past the `__setattr__` that freezes them.
#![expect(
    unsafe_code,
    reason = "the C functions behind object.__new__ and object.__setattr__, without their arguments' way through Python"
)]

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

/// An instance of a class of Python's, without any field.
pub(crate) fn blank<'py>(class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the class is one that Python code made of `object`, whose instances are allocated by this
    // function; what it returns is an object of one's own, or null with an exception set.
    unsafe {
        let object = ffi::PyType_GenericAlloc(class.as_type_ptr(), 0);
        Bound::from_owned_ptr_or_err(class.py(), object)
    }
}

/// Sets a field of it.
pub(crate) fn fill(
    object: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // SAFETY: three objects that are alive, and borrowed for the call.
    let outcome =
        unsafe { ffi::PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value.as_ptr()) };
    if outcome == 0 {
        Ok(())
    } else {
        Err(PyErr::fetch(object.py()))
    }
}

/// A result of this class of `kaltura_app_token.model`, with these fields.
macro_rules! build {
    ($py:expr, $class:ident { $($name:ident: $value:expr),* $(,)? }) => {{
        static CLASS: $crate::once::Once<pyo3::types::PyType> = $crate::once::Once::new();
        let py = $py;
        let object = $crate::fill::blank(CLASS.class(py, "kaltura_app_token.model", stringify!($class))?)?;
        $(
            let value = pyo3::IntoPyObjectExt::into_bound_py_any($value, py)?;
            $crate::fill::fill(&object, pyo3::intern!(py, stringify!($name)), &value)?;
        )*
        PyResult::Ok(object)
    }};
}

pub(crate) use build;
