//! A process that forks while its threads are inside the library.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kaltura_app_token::{
    MemoryCache, NewToken, SessionKey, SessionProvider, TokenSource, blocking,
};
use kaltura_e2e::{builder, sandbox};

#[expect(unsafe_code, reason = "the calls of the C library have no safe form")]
mod process {
    unsafe extern "C" {
        fn fork() -> i32;
        fn alarm(seconds: u32) -> u32;
        fn _exit(status: i32) -> !;
        fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    }

    /// What became of a child that does this, in seconds at most, by its wait status.
    pub(crate) fn child(seconds: u32, work: impl FnOnce() -> bool) -> i32 {
        // SAFETY: the child calls nothing but the work, which is what is tested, and ends.
        let process = unsafe { fork() };
        if process == 0 {
            unsafe {
                alarm(seconds);
                _exit(i32::from(!work()));
            }
        }
        let mut status = 0;
        // SAFETY: it writes to the status alone.
        unsafe { waitpid(process, &raw mut status, 0) };
        status
    }
}

#[test]
fn a_child_of_a_busy_process_gets_sessions_whoever_gave_the_provider_its_memory() {
    let sandbox = sandbox();
    let token = NewToken::new().session_user_id("alice");
    let token = blocking::Client::new(builder(&sandbox).admin_secret(sandbox.admin_secret()))
        .unwrap()
        .add_token(&token)
        .unwrap();
    let client = Arc::new(blocking::Client::new(builder(&sandbox)).unwrap());
    let source = TokenSource::value(token.id, token.token.unwrap());
    let provider = SessionProvider::builder(source).cache(Arc::new(MemoryCache::new(100)));
    let provider = Arc::new(blocking::SessionProvider::new(client, provider));
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let (provider, stop) = (Arc::clone(&provider), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    provider.get(&SessionKey::new()).unwrap();
                }
            })
        })
        .collect();
    let statuses: Vec<_> = (0..60)
        .map(|_| process::child(3, || provider.get(&SessionKey::new()).is_ok()))
        .collect();
    stop.store(true, Ordering::SeqCst);
    for thread in busy {
        thread.join().unwrap();
    }
    assert!(statuses.iter().all(|status| *status == 0), "{statuses:?}");
}
