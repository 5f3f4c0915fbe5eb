//! The likely cause and the next step, in words of no surface: an option of a command or a function of
//! a library is named by the surface that has it, which knows the hint by its name.

use std::borrow::Cow;
use std::fmt;

use crate::connect_cause::ConnectCause;

use super::text::{LONGEST, printable};

macro_rules! hints {
    ($($name:ident => $text:literal,)*) => {
        /// The likely cause of a failure and the next step.
        ///
        /// `Display` and [`text`](Self::text) are its words; a program that knows better words, such as
        /// an option of its own, goes by the variant.
        ///
        /// ```
        /// use kaltura_app_token::{Client, Hint};
        ///
        /// let url = "http://kaltura.example.com";
        /// let error = Client::builder().service_url(url).build().unwrap_err();
        /// assert_eq!(error.hint(), Some(&Hint::HttpNotAllowed));
        /// assert!(Hint::HttpNotAllowed.text().starts_with("give an https address"));
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Hint {
            $(#[doc = concat!("`", $text, "`")] $name,)*
            /// That of the cause for which no connection came about.
            Connection(ConnectCause),
            /// One that names something of the failure, such as a line of a file.
            Text(Cow<'static, str>),
        }

        impl Hint {
            /// The words: one line.
            #[must_use]
            pub fn text(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Connection(cause) => cause.hint(),
                    Self::Text(text) => text,
                }
            }

            /// The variant's name, by which a surface in another language knows it; `None` for
            /// [`Text`](Self::Text).
            #[must_use]
            pub fn name(&self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    Self::Connection(_) => Some("Connection"),
                    Self::Text(_) => None,
                }
            }

            #[cfg(test)]
            const NAMED: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

hints! {
    // What the API's exceptions are about.
    UnknownToken => "the id is unknown here: mistyped, deleted, of another account, or of another \
        region's server; check the partner id and the service URL, or list the tokens",
    HashDiffers => "the hash differs: check the hash type of the token (SHA1 when it was created \
        without one) and that its value has no newline or space at the end",
    TokenDisabled => "the token is disabled and no call can enable it again: create a new one",
    TokenExpired => "the token's own expiry has passed: create a new one with a later expiry or none, \
        or move this one's with an update",
    NotUpdatable => "this server does not let the field change: create a new token with the value that \
        is wanted and delete the old one",
    SessionExpired => "the session has expired: start a new one",
    SessionEnded => "the session was ended, or its token was deleted; after session.end every later \
        session of the same token is refused too: use another token",
    ActionsUsedUp => "the session's actionslimit is used up: start a new one",
    OtherAddress => "the session's iprestrict does not hold this address: it is compared exactly, \
        ranges are not understood",
    OtherPath => "the session's urirestrict does not hold this path: it is compared exactly, or \
        by its beginning when it ends in *",
    ForeignSession => "the session is not one of this server: check the admin secret, the partner id \
        and the service URL's region",
    Forbidden => "the session may not call this: managing tokens needs an ADMIN session (type 2), \
        and a role set by setrole must allow the action",
    AccountBlocked => "the account is blocked or unknown on this server: check the partner id and the \
        service URL's region",
    WrongCredentials => "the partner id, the secret and the session type do not belong together: an ADMIN \
        session needs the admin secret",
    UnknownAccount => "the partner id is unknown to this server: check it and the service URL's region",
    OtherAccount => "the session is of one account and what it asks for of another: use a session of \
        the account that has it",
    UnknownObject => "the server knows nothing with this id: a role that setrole names must be one of \
        this account, by its number or its system name",
    ForbiddenCharacter => "the text holds a character that cannot be stored, such as a control \
        character: take it out, and look at what a copy brought along",
    RefusedValue => "the server refused a value; on a new account a token needs a session user id (it \
        has no anonymous user yet), and user ids may not hold every character",
    UnknownValue => "the value is not one this server knows",
    RequestsLimited => "the server is limiting requests: wait and try again",
    ServerFailed => "the server failed by itself: try again, and check for very long values",

    // Connections, and answers that are not the API's.
    HttpNotAllowed => "give an https address, or allow http explicitly for a host that has nothing else",
    Pem => "give a file with the certificates of the authorities to trust, in PEM",
    Redirected => "a redirect would resend credentials: set the service URL that it points to",
    Firewalled => "something before the API refused the request: a proxy or a web firewall; another user \
        agent may be let through",
    NoApiThere => "there is no API at this address: check the service URL",
    ProxyWantsCredentials => "the proxy wants credentials: put them into the proxy's URL",
    Overloaded => "the server is overloaded or failing: try again later",

    // Tokens, sessions and their account.
    ListBeforeCreating => "list the tokens before creating another, and delete the one that is not needed",
    NoAdminSession => "set the admin secret, or give an ADMIN session",
    WrongClock => "the session was made for this call: this machine's clock is wrong, or the \
        server's; set it",
    DeadAtBirth => "its sessionDuration is unset, 0 or negative, or its expiry has come: update it, or \
        create another",
    WalkInstead => "walk over all tokens, which asks for them in parts",
    BegunAnew => "the process's standard error says where; the next call begins anew",
    CallAgainHere => "make the call again here",
    QueueOfItsOwn => "make a queue here",

    // Where the account comes from.
    WriteTheScheme => "an address without a dot is written with its scheme, as https://server",
    NameServer => "give the address of the server, such as https://www.kaltura.com, or a region",
    FillIn => "put the account's own values into the file: the management console shows them under \
        Settings, Integration",
    CopyTheTemplate => "copy config.template.json to config.json and fill it in",
    LeaveOutOne => "leave out one of the two; partner id, credentials and service URL come from one source \
        together",
    UrlBesideAccount => "put the service URL beside the account, or give it explicitly: it then is for the \
        account of any source",
    OneSource => "put partner id, secret and service URL into one of the two",
    NoAccount => "set KALTURA_PARTNER_ID and KALTURA_ADMIN_SECRET, or write a config.json",
    NotText => "set it again as plain text, or unset it",
    UnsetOne => "unset one of the two",
    SecretAlone => "it must name a file that holds the secret alone, in one line",

    // Rotations.
    JournalInUse => "wait until that one has ended, or give another journal",
    JournalDamaged => "nothing in the file was changed; in a journal that was damaged, take that line out, \
        and finish its rotations rather than undo them",
    FilePerToken => "write {id} where the old token's id is to stand in the path",
    ResumeFirst => "resume it first",
    ResumeRotation => "resume the rotation: the new token is there and named in the journal",
    FinishInstead => "finish the rotation instead",
    FinishOrDelete => "finish the rotation instead, which hands it over again; where you know that \
        nobody has it, delete it, and then undo the rotation",
    DurationFirst => "give it another session duration first",
    CompareTokens => "compare the two, and give the old one what the new one is to have before you rotate \
        it again",
    RotateByHand => "create the new token yourself, try it, and then delete the old one",
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl From<String> for Hint {
    fn from(text: String) -> Self {
        Self::Text(printable(text, LONGEST).into())
    }
}

impl From<&'static str> for Hint {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_hint_is_one_printable_line_of_its_own() {
        let mut seen = BTreeSet::new();
        for hint in Hint::NAMED {
            let text = hint.text();
            assert!(seen.insert(text), "{text}");
            assert_eq!(printable(text.to_owned(), LONGEST), text);
            assert!(!text.contains("  ") && !text.ends_with('.'), "{text}");
            assert_eq!(hint.name().unwrap(), format!("{hint:?}"));
        }
    }
}
