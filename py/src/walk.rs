//! Walks over all tokens: `Tokens` waits for each page, `Walk` asks for it through an event loop's queue.

use std::sync::{Arc, Mutex, PoisonError};

use kaltura_app_token as core;
use kaltura_app_token::blocking;
use pyo3::prelude::*;

use crate::apart::Apart;
use crate::call::wait;
use crate::interpreter::Inside;
use crate::model::token;

/// A walk over all tokens, one page in memory at a time.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct Tokens(pub(crate) Apart<Mutex<blocking::Tokens>>);

#[pymethods]
impl Tokens {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let inside = Inside::enter(py);
        let (next, raised) = wait(&inside, |_, tick| {
            let mut walk = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            walk.next_with(Some(tick)).transpose()
        })?;
        match raised {
            Some(signal) => Err(signal),
            None => next.map(|next| token(py, next)).transpose(),
        }
    }
}

/// A walk over all tokens for an event loop; taken while a page is asked for.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct Walk(pub(crate) Apart<Place>);

/// Where a walk is while no page of it is being asked for.
pub(crate) type Place = Arc<Mutex<Option<core::Tokens>>>;
