//! Threads of the library's own, and what they must not do to the process that they live in.
//!
//! A thread that is started here runs no signal handler of the host's: every asynchronous signal is
//! blocked before it begins. Those that report a fault of the thread itself stay open. Knows nothing of
//! what the threads are for.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

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

    /// Bit N - 1 of `SigBlk` is signal N (proc(5)).
    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_of_ours_blocks_the_hosts_signals_and_its_starter_does_not() {
        let mask = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = status
                .lines()
                .find(|line| line.starts_with("SigBlk:"))
                .unwrap();
            u64::from_str_radix(line["SigBlk:".len()..].trim(), 16).unwrap()
        };
        let bit = |signal: libc::c_int| 1_u64 << (signal - 1);
        let before = mask();
        let inside = spawn("kaltura-test", mask).unwrap().join().unwrap();
        assert_eq!(mask(), before);
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
}
