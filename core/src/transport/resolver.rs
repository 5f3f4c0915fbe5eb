//! Looking up names. Knows nothing of what is sent to the addresses.

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{FutureExt, Shared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::BoxFuture;
use crate::error::Result;
use crate::threads::aside;

/// Looks names up on threads of the library's own. Those of tokio's pool would stay for a while after
/// it, and run the signal handlers of the host.
///
/// A name takes one thread, however many wait for it and however many have stopped waiting, and the
/// thread ends with the look-up.
#[derive(Default)]
pub(super) struct Resolver {
    under_way: Arc<Mutex<HashMap<String, LookUp>>>,
}

type LookUp = Shared<BoxFuture<'static, Result<Vec<SocketAddr>, String>>>;

impl Resolver {
    fn look_up(&self, host: &str) -> LookUp {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(look_up) = under_way.get(host)
            && look_up.peek().is_none()
        {
            return look_up.clone();
        }
        let (name, others) = (host.to_owned(), Arc::downgrade(&self.under_way));
        let look_up = async move {
            let work = move || {
                let found = (name.as_str(), 0).to_socket_addrs();
                // Whoever asks from now on asks anew.
                if let Some(others) = others.upgrade() {
                    others
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&name);
                }
                found
            };
            let found = aside("looking up the server's name", work).await;
            match found {
                Ok(Ok(addresses)) => Ok(addresses.collect()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        };
        let look_up: BoxFuture<'static, _> = Box::pin(look_up);
        let look_up = look_up.shared();
        under_way.insert(host.to_owned(), look_up.clone());
        look_up
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let look_up = self.look_up(name.as_str());
        Box::pin(async move { Ok(Box::new(look_up.await?.into_iter()) as Addrs) })
    }
}
