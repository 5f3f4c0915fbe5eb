//! Sessions that are kept and renewed: [`SessionProvider`], where its token comes from and where its
//! sessions are kept. Knows the client only as what mints a session.

mod cache;
mod decide;
mod driver;
mod outage;
mod provider;
mod source;

pub use cache::{CachedSession, MemoryCache, SessionCache};
pub(crate) use driver::Carrier;
pub use provider::{SessionProvider, SessionProviderBuilder, SessionProviderStats};
pub use source::{TokenCredentials, TokenSource};
