//! `Secret`: a credential as a Python object. It can be compared, hashed, copied and handed on, and
//! nothing but `reveal()` says what it is.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use kaltura_app_token as core;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::convert::Argument;

/// Keyed anew in every process, so that a hash that is seen tells nothing about the value.
static HASH_KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

const MASK: &str = "****";

/// A credential. `str`, `repr`, formatting and JSON encoders show a mask; it cannot be pickled.
///
/// Example:
///     >>> secret = kat.Secret("value")
///     >>> f"{secret}", secret.reveal(), kat.Secret(secret) == secret
///     ('****', 'value', True)
#[pyclass(frozen, eq, module = "kaltura_app_token")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) core::Secret);

#[pymethods]
impl Secret {
    #[new]
    fn new(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        core::Secret::read("value", value).map(Self)
    }

    /// The value itself. Whoever calls this answers for where it goes.
    fn reveal(&self) -> &str {
        self.0.reveal()
    }

    fn __bool__(&self) -> bool {
        !self.0.is_empty()
    }

    fn __hash__(&self) -> u64 {
        HASH_KEY.hash_one(self.0.reveal())
    }

    fn __copy__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __deepcopy__(this: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        this
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an instance")]
    fn __repr__(&self) -> &'static str {
        "Secret('****')"
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an instance")]
    fn __str__(&self) -> &'static str {
        MASK
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an instance")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(not_picklable("Secret", "reveal() gives what must travel"))
    }

    /// What encoders find that look into objects they do not know, as FastAPI's does.
    #[getter(__dict__)]
    fn vars<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let shown = PyDict::new(py);
        shown.set_item("secret", self.__str__())?;
        Ok(shown)
    }

    #[classmethod]
    fn __get_pydantic_core_schema__<'py>(
        class: &Bound<'py, PyType>,
        _source: &Bound<'py, PyAny>,
        _handler: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        class
            .py()
            .import("kaltura_app_token._pydantic")?
            .call_method1("secret_schema", (class,))
    }
}

/// The refusal to pickle what holds a credential.
pub(crate) fn not_picklable(class: &str, advice: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "{class} holds a credential and is not pickled: {advice}"
    ))
}
