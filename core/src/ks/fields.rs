//! What a KS says: to be signed, and as far as it could be read.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::model::SessionType;

/// The format of a KS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KsVersion {
    /// Signed but readable by anybody.
    V1,
    /// Signed and encrypted; the account is readable.
    #[default]
    V2,
}

impl fmt::Display for KsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "1",
            Self::V2 => "2",
        })
    }
}

impl FromStr for KsVersion {
    type Err = Error;

    /// Reads `1` or `2`, also with a `v` before it.
    fn from_str(text: &str) -> Result<Self> {
        match text.trim().trim_start_matches(['v', 'V']) {
            "1" => Ok(Self::V1),
            "2" => Ok(Self::V2),
            _ => Err(Error::config("the version of a KS is 1 or 2")),
        }
    }
}

/// What a KS to be signed says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KsFields {
    /// The account.
    pub partner_id: i64,
    /// The user; `None` and the empty string are the anonymous user.
    pub user_id: Option<String>,
    /// The type.
    pub session_type: SessionType,
    /// When it expires, in unix seconds.
    pub expiry: i64,
    /// The privileges, such as `edit:*,list:*`.
    pub privileges: String,
    /// The account on whose behalf it is used, for accounts with sub-accounts.
    pub master_partner_id: Option<i64>,
    /// Any text that is to travel along.
    pub additional_data: Option<String>,
}

/// What a KS says, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KsInfo {
    /// Its format.
    pub version: KsVersion,
    /// Whether a secret proved it genuine. A description made without a secret never is.
    pub verified: bool,
    /// The account. In a version 2 it is outside of what is signed.
    pub partner_id: Option<i64>,
    /// The type.
    pub session_type: Option<SessionType>,
    /// The user.
    pub user_id: Option<String>,
    /// When it expires, in unix seconds.
    pub expiry: Option<i64>,
    /// The privileges; `None` when they cannot be read without the secret.
    pub privileges: Option<String>,
    /// The account on whose behalf it is used.
    pub master_partner_id: Option<i64>,
    /// Any text that travels along.
    pub additional_data: Option<String>,
    /// What makes it different from another with the same fields.
    pub random: Option<String>,
}
