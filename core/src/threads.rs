//! Threads of the library's own and the host's threads that work for it, and what neither must do to the
//! process that they live in.
//!
//! A thread that is started here runs no signal handler of the host's: every asynchronous signal is
//! blocked before it begins. Those that report a fault of the thread itself stay open. On a thread of the
//! host's a [`SigpipeGuard`] keeps back the signal that writing to a closed connection raises. Nothing
//! here installs a handler. Knows nothing of what the threads are for.

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::Builder;
pub(crate) use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// Starts a thread with the host's signals blocked from its first instruction on.
///
/// # Errors
/// What the operating system says when it has no thread to give.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // A new thread takes over the mask of the one that starts it, so there is no moment in between.
    with_signals_blocked(|| Builder::new().name(name.to_owned()).spawn(work))
}

/// Does work that blocks, or that is not ours, beside the runtime, and waits for it.
///
/// Whatever the work does (sleep, wait for a lock, call this library again), the runtime goes on. When
/// the future is dropped the work goes on to its own end, and its result is dropped.
///
/// # Errors
/// `Config` when no thread can be started or the work panics; `what` says whose work it is.
pub(crate) async fn aside<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    spawn("kaltura-aside", move || {
        let done = catch_unwind(AssertUnwindSafe(work));
        // Nobody may be waiting any more.
        let _ = sender.send(done.ok());
    })
    .map_err(|error| Error::config(format!("{what}: no thread can be started: {error}")))?;
    match receiver.await {
        Ok(Some(done)) => Ok(done),
        Ok(None) | Err(_) => Err(Error::config(format!("{what} panicked"))),
    }
}

/// While there is one, writing to a connection that the other side has closed raises no SIGPIPE on this
/// thread, as far as anybody can tell: the signal is blocked, what is raised is taken back at the end,
/// and the mask is then as it was. One that was pending before is the host's, and stays.
///
/// There is nothing to do on Apple's systems, where every socket of ours is made with `SO_NOSIGPIPE`.
pub(crate) struct SigpipeGuard {
    before: Cell<sigpipe::Before>,
    /// It is about the thread that it was made on.
    _thread: PhantomData<*const ()>,
}

impl SigpipeGuard {
    pub(crate) fn new() -> Self {
        Self {
            before: Cell::new(sigpipe::hold_back()),
            _thread: PhantomData,
        }
    }

    /// Calls code of the host's, for which everything is meanwhile as it was before.
    pub(crate) fn paused<T>(&self, host: impl FnOnce() -> T) -> T {
        sigpipe::let_go(self.before.get());
        let done = host();
        self.before.set(sigpipe::hold_back());
        done
    }
}

impl Drop for SigpipeGuard {
    fn drop(&mut self) {
        sigpipe::let_go(self.before.get());
    }
}

#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "openbsd"))))]
#[expect(
    unsafe_code,
    reason = "no safe wrapper of these among our dependencies"
)]
mod sigpipe {
    use std::mem::MaybeUninit;
    use std::ptr;

    /// What the thread did with the signal before it worked for us.
    #[derive(Clone, Copy)]
    pub(super) enum Before {
        /// One waits, so it is blocked, and another one makes no difference.
        Pending,
        Blocked,
        Open,
    }

    fn alone() -> libc::sigset_t {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set that sigaddset then changes.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
            set.assume_init()
        }
    }

    pub(super) fn hold_back() -> Before {
        let sigpipe = alone();
        let mut found = MaybeUninit::uninit();
        // SAFETY: sigpending and pthread_sigmask fill the set that sigismember then reads, and with these
        // arguments they cannot fail.
        unsafe {
            libc::sigpending(found.as_mut_ptr());
            if libc::sigismember(found.as_ptr(), libc::SIGPIPE) == 1 {
                return Before::Pending;
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const sigpipe, found.as_mut_ptr());
            if libc::sigismember(found.as_ptr(), libc::SIGPIPE) == 1 {
                Before::Blocked
            } else {
                Before::Open
            }
        }
    }

    pub(super) fn let_go(before: Before) {
        if matches!(before, Before::Pending) {
            return;
        }
        let at_once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let sigpipe = alone();
        // SAFETY: the set and the time are initialised; nobody wants to know more of the signal.
        unsafe {
            libc::sigtimedwait(&raw const sigpipe, ptr::null_mut(), &raw const at_once);
            if matches!(before, Before::Open) {
                libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const sigpipe, ptr::null_mut());
            }
        }
    }
}

#[cfg(not(all(unix, not(any(target_vendor = "apple", target_os = "openbsd")))))]
mod sigpipe {
    #[derive(Clone, Copy)]
    pub(super) struct Before;

    pub(super) fn hold_back() -> Before {
        Before
    }

    pub(super) fn let_go(_: Before) {}
}

/// Signals that are about the thread that they are sent to, not about the process.
#[cfg(unix)]
const SYNCHRONOUS: [libc::c_int; 8] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
    libc::SIGPROF,
];

#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "no safe wrapper of pthread_sigmask among our dependencies"
)]
fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    use std::mem::MaybeUninit;
    use std::ptr;

    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the set was filled by pthread_sigmask on this thread.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
        }
    }

    let mut blocked = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set that sigdelset and pthread_sigmask then read;
    // pthread_sigmask fills `before`, and with these arguments it cannot fail.
    let _restore = unsafe {
        libc::sigfillset(blocked.as_mut_ptr());
        for signal in SYNCHRONOUS {
            libc::sigdelset(blocked.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), before.as_mut_ptr());
        Restore(before.assume_init())
    };
    work()
}

#[cfg(not(unix))]
fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_aside_is_waited_for_and_its_panic_is_an_error() {
        assert_eq!(aside("the sum", || 1 + 1).await.unwrap(), 2);
        let error = aside("the token source", || -> u8 { panic!("on purpose") })
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("the token source panicked"),
            "{error}"
        );
    }

    /// What `SigBlk` of proc(5) says of the calling thread: bit N - 1 is signal N.
    #[cfg(target_os = "linux")]
    fn blocked() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
    }

    #[cfg(target_os = "linux")]
    fn bit(signal: libc::c_int) -> u64 {
        1 << (signal - 1)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_of_ours_blocks_the_hosts_signals_and_its_starter_does_not() {
        let before = blocked();
        let inside = spawn("kaltura-test", blocked).unwrap().join().unwrap();
        assert_eq!(blocked(), before);
        for signal in [
            libc::SIGINT,
            libc::SIGTERM,
            libc::SIGPIPE,
            libc::SIGCHLD,
            libc::SIGUSR1,
        ] {
            assert_ne!(inside & bit(signal), 0, "{signal}");
        }
        for signal in SYNCHRONOUS {
            assert_eq!(inside & bit(signal), 0, "{signal}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_blocking_call_holds_sigpipe_back_and_its_tick_finds_the_hosts_mask() {
        use crate::{Cancel, Client, blocking};

        let before = blocked();
        assert_eq!(before & bit(libc::SIGPIPE), 0);
        let builder = Client::builder()
            .partner_id(1)
            .service_url("http://127.0.0.1:1");
        let client = blocking::Client::new(builder).unwrap();
        let mut asked = Vec::new();
        let mut tick = || {
            asked.push(blocked());
            asked.len() < 3
        };
        let cancel = Cancel::new();
        let inside = client
            .run(&cancel, Some(&mut tick), async |_| {
                let first = blocked();
                cancel.triggered().await;
                Ok([first, blocked()])
            })
            .unwrap();
        assert_eq!(inside, [before | bit(libc::SIGPIPE); 2]);
        assert_eq!(asked, [before; 3]);
        assert_eq!(blocked(), before);
    }
}
