//! What the API speaks of: tokens, sessions, filters and pages, as typed values.
//!
//! Every field of an answer is optional, because the server leaves out what is null and a response
//! profile can leave out anything. How these are written to and read from the wire is in `wire`.

mod kinds;
mod list;
mod session;
mod token;

pub use kinds::{HashType, SessionType, TokenStatus};
pub use list::{
    ListOptions, Pager, ProfileFields, ResponseProfile, TokenFilter, TokenOrder, TokenPage,
};
pub use session::{Session, SessionInfo, SessionKey, SessionRequest};
pub(crate) use token::Change;
pub use token::{AppToken, NewToken, TokenField, TokenUpdate};
