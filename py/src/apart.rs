//! Dropping what may wait for another thread without holding the interpreter, which that thread may be
//! waiting for.

use std::ops::Deref;

use crate::interpreter::{self, Inside};

/// A value that is dropped apart from the interpreter.
pub(crate) struct Apart<T: Send>(Option<T>);

impl<T: Send> Apart<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T: Send> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send> Drop for Apart<T> {
    fn drop(&mut self) {
        let mut value = self.0.take();
        let apart = interpreter::attach(|py| {
            let value = value.take();
            // A panic has been reported, and nobody is there to be told of it.
            let _ = Inside::enter(py).detach(move || drop(value));
        });
        if apart.is_none() {
            // The interpreter is ending: whoever would have to be waited for is not waited for.
            std::mem::forget(value);
        }
    }
}
