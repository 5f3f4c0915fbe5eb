//! The boundary itself: every pointer that C hands over is read here, every panic is caught here, and
//! every result is written here. Knows nothing of tokens or sessions.

use std::borrow::Cow;
use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use kaltura_app_token as core;

use crate::error::{kat_connect_cause, kat_error, kat_status};

/// `KAT_ABSENT`: a number that is not there. No instant, duration or id has this value.
pub(crate) const ABSENT: i64 = i64::MIN;

/// Why an exported function has no result.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// A status that needs no explanation and comes without an error object.
    Plain(kat_status),
    /// Something about the arguments.
    Argument(kat_status, Cow<'static, str>),
    /// The core's own error.
    Core(core::Error),
}

impl Failure {
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Argument(kat_status::InvalidArg, message.into())
    }

    pub(crate) fn panicked() -> Self {
        let place = panics::take_place().map_or_else(String::new, |place| format!(" ({place})"));
        Self::Argument(
            kat_status::Panic,
            format!(
                "the library failed in a way that it should not{place}; this is a defect of the library"
            )
            .into(),
        )
    }

    fn null(name: &str) -> Self {
        Self::Argument(kat_status::NullArg, format!("{name} is NULL").into())
    }
}

impl From<core::Error> for Failure {
    fn from(error: core::Error) -> Self {
        Self::Core(error)
    }
}

/// What the caller vouches for: that every pointer of this call is NULL or what the header says.
///
/// Only [`call`] and [`set`], which are unsafe, make one; what it lends lives no longer than the call.
pub(crate) struct Caller(());

#[expect(
    clippy::unused_self,
    reason = "having one is what makes it safe to read a pointer"
)]
impl Caller {
    /// A handle that must be there.
    pub(crate) fn handle<'a, T>(&'a self, handle: *const T, name: &str) -> Result<&'a T, Failure> {
        self.optional(handle).ok_or_else(|| Failure::null(name))
    }

    /// A handle that only this call uses, and reads once.
    #[expect(
        clippy::mut_from_ref,
        reason = "what is borrowed is not the Caller but what C owns"
    )]
    pub(crate) fn handle_mut<'a, T>(
        &'a self,
        handle: *mut T,
        name: &str,
    ) -> Result<&'a mut T, Failure> {
        // SAFETY: the caller vouches that a handle that is not NULL is alive and not in use elsewhere.
        unsafe { handle.as_mut() }.ok_or_else(|| Failure::null(name))
    }

    /// A handle that may be NULL.
    pub(crate) fn optional<T>(&self, handle: *const T) -> Option<&T> {
        // SAFETY: the caller vouches that a handle that is not NULL is alive and nobody changes it.
        unsafe { handle.as_ref() }
    }

    /// A string that must be there.
    pub(crate) fn text<'a>(&'a self, text: *const c_char, name: &str) -> Result<&'a str, Failure> {
        self.optional_text(text, name)?
            .ok_or_else(|| Failure::null(name))
    }

    /// A string that may be NULL.
    pub(crate) fn optional_text<'a>(
        &'a self,
        text: *const c_char,
        name: &str,
    ) -> Result<Option<&'a str>, Failure> {
        if text.is_null() {
            return Ok(None);
        }
        // SAFETY: the caller vouches that a string that is not NULL ends with a NUL and stays as it is.
        let text = unsafe { CStr::from_ptr(text) };
        match text.to_str() {
            Ok(text) => Ok(Some(text)),
            // Without the text, which may be a secret.
            Err(_) => Err(Failure::invalid(format!("{name} is not UTF-8"))),
        }
    }

    /// A place for a result.
    pub(crate) fn out<'a, T>(&'a self, place: *mut T, name: &str) -> Result<Out<'a, T>, Failure> {
        if place.is_null() {
            return Err(Failure::null(name));
        }
        Ok(Out {
            place,
            call: PhantomData,
        })
    }

    /// A place for a result that may be NULL.
    pub(crate) fn optional_out<T>(&self, place: *mut T) -> Option<Out<'_, T>> {
        (!place.is_null()).then_some(Out {
            place,
            call: PhantomData,
        })
    }

    /// Copies a text and its NUL into the caller's buffer.
    pub(crate) fn copy_out(
        &self,
        text: &str,
        buffer: *mut c_char,
        size: usize,
        name: &str,
    ) -> Result<(), Failure> {
        if buffer.is_null() {
            return Err(Failure::null(name));
        }
        if size <= text.len() {
            return Err(Failure::invalid(format!(
                "{name} is too small: {} bytes are needed",
                text.len() + 1
            )));
        }
        // SAFETY: the caller vouches for `size` bytes, which were just found to be enough, and nothing of
        // ours overlaps with them.
        unsafe {
            buffer.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
            buffer.add(text.len()).write(0);
        }
        Ok(())
    }
}

/// A place for a result, known not to be NULL. What is there before is never read.
pub(crate) struct Out<'a, T> {
    place: *mut T,
    call: PhantomData<&'a mut T>,
}

impl<T> Out<'_, T> {
    pub(crate) fn put(self, value: T) {
        // SAFETY: `Caller::out` found it not NULL, and the caller vouches for the rest.
        unsafe { self.place.write(value) }
    }
}

impl<T> Out<'_, *mut T> {
    /// Gives a new handle to the caller, who frees it.
    pub(crate) fn give(self, value: impl Into<T>) {
        self.put(Box::into_raw(Box::new(value.into())));
    }
}

/// Runs the body of a function that answers with a status; a panic becomes one too.
///
/// # Safety
/// Every pointer that the body reads through [`Caller`], and `err`, is as the header asks.
pub(crate) unsafe fn call(
    err: *mut *mut kat_error,
    body: impl FnOnce(&Caller) -> Result<(), Failure>,
) -> kat_status {
    let failed = guarded(|| match body(&Caller(())) {
        Ok(()) => Ok(()),
        Err(Failure::Plain(status)) => Err((status, None)),
        Err(failure) => Err((failure.status(), Some(Box::new(kat_error::from(failure))))),
    });
    let (status, error) = match failed {
        Some(Ok(())) => return kat_status::Ok,
        Some(Err((status, error))) => (status, error),
        None => (
            kat_status::Panic,
            Some(Box::new(kat_error::from(Failure::panicked()))),
        ),
    };
    if let Some(error) = error
        && !err.is_null()
    {
        // SAFETY: not NULL, and the caller vouches that it can be written.
        unsafe { err.write(Box::into_raw(error)) }
    }
    status
}

/// Reads something from a handle; what that is from NULL, `R` says.
///
/// # Safety
/// The handle is NULL or alive, and nobody changes it meanwhile.
pub(crate) unsafe fn get<T, R: Absent>(handle: *const T, read: impl FnOnce(&T) -> R) -> R {
    // SAFETY: as above.
    let handle = unsafe { handle.as_ref() };
    handle
        .and_then(|handle| guarded(|| read(handle)))
        .unwrap_or(R::ABSENT)
}

/// Parameters whose setters remember the first thing that was wrong, for the call that uses them.
pub(crate) trait Remembers {
    fn fault(&mut self) -> &mut Option<Failure>;
}

/// Changes parameters, and remembers what was wrong.
///
/// # Safety
/// As for [`call`]; nobody else uses the parameters meanwhile.
pub(crate) unsafe fn set<P: Remembers>(
    params: *mut P,
    change: impl FnOnce(&mut P, &Caller) -> Result<(), Failure>,
) -> kat_status {
    // SAFETY: as above.
    let Some(params) = (unsafe { params.as_mut() }) else {
        return kat_status::NullArg;
    };
    let failure = match guarded(|| change(params, &Caller(()))) {
        Some(Ok(())) => return kat_status::Ok,
        Some(Err(failure)) => failure,
        None => Failure::panicked(),
    };
    let status = failure.status();
    params.fault().get_or_insert(failure);
    status
}

impl Failure {
    pub(crate) fn status(&self) -> kat_status {
        match self {
            Self::Plain(status) | Self::Argument(status, _) => *status,
            Self::Core(error) => error.kind().into(),
        }
    }
}

/// A new handle, or NULL after a panic.
pub(crate) fn new<T>(make: impl FnOnce() -> T) -> *mut T {
    guarded(|| Box::into_raw(Box::new(make()))).unwrap_or(std::ptr::null_mut())
}

/// Takes a handle back and drops it.
///
/// # Safety
/// The handle is NULL, or came from this library and was not freed yet.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if handle.is_null() {
        return;
    }
    // SAFETY: as above; every handle is made from a Box.
    let owned = unsafe { Box::from_raw(handle) };
    // The handle is gone even when this ends in a panic.
    let _ = guarded(move || drop(owned));
}

/// The one place where a panic stops.
fn guarded<R>(body: impl FnOnce() -> R) -> Option<R> {
    panics::keep_quiet();
    let _inside = panics::Inside::enter();
    catch_unwind(AssertUnwindSafe(|| {
        strike(Place::Boundary);
        body()
    }))
    .ok()
}

/// What is said of a panic: nothing on stderr, which is the program's, but where it was, in the error.
mod panics {
    use std::cell::Cell;
    use std::panic::{PanicHookInfo, set_hook, take_hook};
    use std::sync::{Mutex, Once};
    use std::thread;

    thread_local! {
        /// How many calls of this library's this thread is in.
        static DEPTH: Cell<u32> = const { Cell::new(0) };
    }

    static PLACE: Mutex<Option<String>> = Mutex::new(None);

    pub(super) struct Inside(());

    impl Inside {
        pub(super) fn enter() -> Self {
            DEPTH.set(DEPTH.get() + 1);
            Self(())
        }
    }

    impl Drop for Inside {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }

    /// Panics of anybody else's are told as before: a Rust program that this library is linked into may
    /// share its standard library.
    pub(super) fn keep_quiet() {
        static ONCE: Once = Once::new();
        // While a thread panics its hook cannot be replaced.
        if ONCE.is_completed() || thread::panicking() {
            return;
        }
        ONCE.call_once(|| {
            let before = take_hook();
            set_hook(Box::new(move |panic| {
                if is_ours() {
                    remember(panic);
                } else {
                    before(panic);
                }
            }));
        });
    }

    /// Whether the panic is of a call, or on a thread that core has started.
    fn is_ours() -> bool {
        let of_core = |name: &str| name.starts_with("kaltura-");
        DEPTH.get() > 0 || thread::current().name().is_some_and(of_core)
    }

    /// Without what it says, which may hold a credential.
    fn remember(panic: &PanicHookInfo) {
        // Never waits: the lock may have been held when this process was forked.
        if let (Some(at), Ok(mut place)) = (panic.location(), PLACE.try_lock()) {
            *place = Some(format!("{}:{}", at.file(), at.line()));
        }
    }

    /// Where the last panic was that nobody has asked about yet.
    pub(super) fn take_place() -> Option<String> {
        PLACE.try_lock().ok()?.take()
    }
}

/// An enumeration of the header, which C passes as an integer.
pub(crate) trait Numbered: Copy + 'static {
    const NAME: &'static str;
    const ALL: &'static [Self];
    fn number(self) -> i32;

    fn from_number(number: i32, argument: &str) -> Result<Self, Failure> {
        let known = Self::ALL
            .iter()
            .copied()
            .find(|known| known.number() == number);
        known.ok_or_else(|| Failure::invalid(format!("{argument}: {number} is no {}", Self::NAME)))
    }
}

/// What a getter says when there is nothing to say.
pub(crate) trait Absent {
    const ABSENT: Self;
}

impl<T> Absent for *const T {
    const ABSENT: Self = std::ptr::null();
}
impl<T> Absent for Option<T> {
    const ABSENT: Self = None;
}
impl Absent for kat_status {
    const ABSENT: Self = kat_status::Ok;
}
impl Absent for kat_connect_cause {
    const ABSENT: Self = Self::None;
}
impl Absent for bool {
    const ABSENT: Self = false;
}
impl Absent for i64 {
    const ABSENT: Self = ABSENT;
}
impl Absent for i32 {
    const ABSENT: Self = 0;
}
impl Absent for u32 {
    const ABSENT: Self = 0;
}
impl Absent for u64 {
    const ABSENT: Self = 0;
}
impl Absent for usize {
    const ABSENT: Self = 0;
}

/// Where a build that is never shipped panics on demand.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Boundary,
    Operation,
    Error,
}

#[cfg(not(feature = "panic-injection"))]
pub(crate) fn strike(_: Place) {}

#[cfg(feature = "panic-injection")]
pub(crate) use injection::strike;

/// Panics on demand.
#[cfg(feature = "panic-injection")]
pub mod injection {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::Place;

    static ARMED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

    pub(crate) fn strike(place: Place) {
        assert!(!ARMED[place as usize].load(Ordering::SeqCst), "injected");
    }

    /// From now on every call into the library panics at the boundary, or no longer.
    #[unsafe(no_mangle)]
    pub extern "C" fn kat_inject_panics(armed: bool) {
        ARMED[Place::Boundary as usize].store(armed, Ordering::SeqCst);
    }

    /// From now on every call to the server panics where it is made, or no longer.
    #[unsafe(no_mangle)]
    pub extern "C" fn kat_inject_panics_in_operations(armed: bool) {
        ARMED[Place::Operation as usize].store(armed, Ordering::SeqCst);
    }

    /// From now on making an error of a failed call panics, or no longer.
    #[unsafe(no_mangle)]
    pub extern "C" fn kat_inject_panics_in_errors(armed: bool) {
        ARMED[Place::Error as usize].store(armed, Ordering::SeqCst);
    }
}
