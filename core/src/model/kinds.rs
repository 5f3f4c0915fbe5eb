//! The API's enumerations. They are open: a value that this crate does not know is kept, never an error.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// The algorithm of a token's hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashType {
    /// `MD5`: broken, for tokens that already have it.
    Md5,
    /// `SHA1`: what a token has that was created without one.
    Sha1,
    /// `SHA256`: what this crate creates tokens with.
    Sha256,
    /// `SHA512`.
    Sha512,
    /// One that this crate cannot compute.
    Other(String),
}

impl HashType {
    /// Those that can be computed here.
    pub const KNOWN: &'static [Self] = &[Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// The API's name for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for HashType {
    /// Case does not matter for the known ones (the server itself accepts only upper case).
    fn from(name: &str) -> Self {
        Self::KNOWN
            .iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(name.trim()))
            .cloned()
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl FromStr for HashType {
    type Err = Infallible;

    /// As `From<&str>`.
    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(Self::from(name))
    }
}

impl fmt::Display for HashType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An open enumeration over integers.
macro_rules! open_integer_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A value that this crate does not know.
            Other(i64),
        }

        impl $name {
            /// The API's number for it.
            #[must_use]
            pub fn value(self) -> i64 {
                match self {
                    $(Self::$variant => $value,)*
                    Self::Other(value) => value,
                }
            }
        }

        impl From<i64> for $name {
            fn from(value: i64) -> Self {
                match value {
                    $($value => Self::$variant,)*
                    other => Self::Other(other),
                }
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Reads the API's name, in whichever case, or its number.
            fn from_str(text: &str) -> Result<Self, Error> {
                let text = text.trim();
                $(if text.eq_ignore_ascii_case($text) {
                    return Ok(Self::$variant);
                })*
                text.parse::<i64>().map(Self::from).map_err(|_| {
                    let names = [$($text),*].join(", ");
                    Error::config(format!("{text:?} is neither one of {names} nor a number"))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)*
                    Self::Other(value) => write!(f, "{value}"),
                }
            }
        }
    };
}

open_integer_enum! {
    /// The type of a session.
    ///
    /// ```
    /// use kaltura_app_token::SessionType;
    ///
    /// assert_eq!("admin".parse::<SessionType>()?, SessionType::Admin);
    /// assert_eq!("0".parse::<SessionType>()?, SessionType::User);
    /// assert!("root".parse::<SessionType>().is_err());
    /// # Ok::<(), kaltura_app_token::Error>(())
    /// ```
    SessionType {
        /// 0: may do what its privileges and role allow.
        User = 0 "USER",
        /// 2: may do everything, managing tokens included.
        Admin = 2 "ADMIN",
    }
}

open_integer_enum! {
    /// The status of a token. No call can set it: deleting is the only revocation.
    TokenStatus {
        /// 1: cannot be exchanged.
        Disabled = 1 "DISABLED",
        /// 2: can be exchanged.
        Active = 2 "ACTIVE",
        /// 3: deleted.
        Deleted = 3 "DELETED",
    }
}
