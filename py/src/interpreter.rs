//! Coming to the interpreter and leaving it, also while it ends. Knows nothing of what is done in between.
//!
//! A thread that asks for an interpreter that has begun to end is ended by CPython on the spot (up to
//! 3.13 by `pthread_exit`, which tears through our frames and takes the process down; later it is only
//! stopped). Asking whether it ends is no help: the thread may wait for its turn meanwhile. So there is
//! a gate. It is closed after the last `atexit` function, which may still wait for other threads' calls:
//! from then on no thread of ours comes in, and those that are in get time to leave before the
//! interpreter goes. A call that ends after that does not return, and its thread is gone with the process.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyImportError, PyRuntimeError};
use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};

/// The threads that have come in, and [`CLOSED`]. One number, so that nobody slips in between.
static GATE: AtomicUsize = AtomicUsize::new(0);
const CLOSED: usize = 1 << (usize::BITS - 1);
static GUARDED: AtomicBool = AtomicBool::new(false);

/// How long the end waits for those who are in: they run our code and log handlers, which take no time.
const LAST_CALL: Duration = Duration::from_secs(2);

thread_local! {
    /// How many calls of ours this thread is in, one within the other.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Whether this is the thread that ends the interpreter: it alone may come in until the last.
    static ENDS: Cell<bool> = const { Cell::new(false) };
    /// Whether Python runs signal handlers here, once somebody has asked.
    static IS_MAIN: Cell<Option<bool>> = const { Cell::new(None) };
}

/// A call from Python that is in the interpreter.
pub(crate) struct Inside<'py>(Python<'py>);

impl<'py> Inside<'py> {
    /// Begins a call. Does not return once the interpreter ends.
    pub(crate) fn enter(py: Python<'py>) -> Self {
        if DEPTH.get() == 0 && !come_in() {
            py.detach(wait_for_the_end);
        }
        DEPTH.set(DEPTH.get() + 1);
        Self(py)
    }

    pub(crate) fn py(&self) -> Python<'py> {
        self.0
    }

    /// Does something without the interpreter. Does not return once it ends. A panic, which has been
    /// printed, is a `RuntimeError`.
    pub(crate) fn detach<T: Send>(&self, work: impl FnOnce() -> T + Send) -> PyResult<T> {
        self.0.detach(|| {
            let depth = DEPTH.replace(0);
            leave();
            let done = contained(work);
            if !come_in() {
                wait_for_the_end();
            }
            DEPTH.set(depth);
            done
        })
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        if DEPTH.get() == 0 {
            leave();
        }
    }
}

/// Does something with the interpreter on a thread that is not in it; `None` once it ends.
pub(crate) fn attach<R>(work: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    struct Left;
    impl Drop for Left {
        fn drop(&mut self) {
            DEPTH.set(0);
            leave();
        }
    }

    if DEPTH.get() > 0 {
        return Python::try_attach(work);
    }
    if !come_in() {
        return None;
    }
    DEPTH.set(1);
    let _left = Left;
    Python::try_attach(work)
}

/// Does work whose panic, which has been printed, is a `RuntimeError`.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| failed_inside())
}

/// What a panic of ours is to Python.
pub(crate) fn failed_inside() -> PyErr {
    PyRuntimeError::new_err("the call failed inside of the library")
}

fn come_in() -> bool {
    let before = GATE.fetch_add(1, Ordering::SeqCst);
    let may = before & CLOSED == 0 || ENDS.get();
    if !may {
        leave();
    }
    may
}

fn leave() {
    GATE.fetch_sub(1, Ordering::SeqCst);
}

fn wait_for_the_end() {
    loop {
        std::thread::park();
    }
}

/// Sets up the gate, once for a process.
///
/// # Errors
/// `ImportError` in a sub-interpreter: types and the gate are one set for the process.
pub(crate) fn guard(py: Python<'_>) -> PyResult<()> {
    if !is_main_interpreter() {
        return Err(PyImportError::new_err(
            "kaltura_app_token works in the main interpreter only, and this is a sub-interpreter: \
             use a process of its own (with mod_wsgi: WSGIApplicationGroup %{GLOBAL})",
        ));
    }
    if GUARDED.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    // A panic is an error of one call. What is no `Exception` would end the program or its event loop.
    py.get_type::<PanicException>()
        .setattr("__bases__", (py.get_type::<PyRuntimeError>(),))?;
    let last_out = LastOut;
    let ending = PyCFunction::new_closure(py, None, None, move |_, _| last_out.ending())?;
    py.import("atexit")?.call_method1("register", (ending,))?;
    // Windows does not fork.
    if let Some(at_fork) = py.import("os")?.getattr_opt("register_at_fork")? {
        let options = PyDict::new(py);
        let forked = PyCFunction::new_closure(py, None, None, |_, _| after_fork())?;
        options.set_item("after_in_child", forked)?;
        at_fork.call((), Some(&options))?;
    }
    Ok(())
}

/// Closes the gate once `atexit` is done. `atexit` calls us before what was registered earlier, and lets
/// go of all that it called only when it has called everything.
struct LastOut;

impl LastOut {
    #[expect(
        clippy::unused_self,
        reason = "calling it keeps it until the call has been made"
    )]
    fn ending(&self) {
        ENDS.set(true);
    }
}

impl Drop for LastOut {
    fn drop(&mut self) {
        // Otherwise it was only taken off the list, as in the children of `multiprocessing`.
        if ENDS.get() {
            Python::try_attach(close);
        }
    }
}

#[expect(unsafe_code, reason = "nothing else asks which interpreter this is")]
fn is_main_interpreter() -> bool {
    // SAFETY: the calling thread is attached, so that there is a current interpreter.
    let id = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    id == 0
}

/// Lets nobody in any more, and waits for those who are in.
fn close(py: Python<'_>) {
    GATE.fetch_or(CLOSED, Ordering::SeqCst);
    let own = usize::from(DEPTH.get() > 0);
    let until = Instant::now() + LAST_CALL;
    py.detach(|| {
        while GATE.load(Ordering::SeqCst) & !CLOSED > own && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

/// The threads that were in are not in the child, but for the one that made it.
fn after_fork() {
    let closed = GATE.load(Ordering::SeqCst) & CLOSED;
    GATE.store(usize::from(DEPTH.get() > 0) | closed, Ordering::SeqCst);
    // Whoever forks is the main thread of the child.
    IS_MAIN.set(Some(true));
}

/// Whether Python runs signal handlers on this thread.
pub(crate) fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    if let Some(known) = IS_MAIN.get() {
        return Ok(known);
    }
    let is_main = ask_whether_main(py)?;
    IS_MAIN.set(Some(is_main));
    Ok(is_main)
}

fn ask_whether_main(py: Python<'_>) -> PyResult<bool> {
    let modules = py.import("sys")?.getattr("modules")?;
    // Nobody has started a second thread before somebody imports this.
    let Some(threading) = modules.cast::<PyDict>()?.get_item("threading")? else {
        return Ok(true);
    };
    let main = threading.call_method0("main_thread")?;
    main.getattr("ident")?
        .eq(threading.call_method0("get_ident")?)
}
