//! Locks, in one place, so that a model checker can put its own in: built with `--cfg model`, the types are
//! loom's, which tries every order in which threads can take them. Knows nothing of what is locked.
//!
//! A panic while a lock is held poisons nothing: whoever holds one leaves what it guards in order at every
//! step, or runs no code of anybody else's meanwhile.

#[cfg(model)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(model))]
pub(crate) use std::sync::{Mutex, MutexGuard};
// `std::task::Wake` wants this one, and loom needs to see only what threads exchange through locks.
pub(crate) use std::sync::Arc;

/// Takes the lock, whoever panicked with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
