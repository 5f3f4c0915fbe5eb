//! Which actions of the API there are, by name and path, and which may be sent twice.

/// Every action of the API that this crate calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// `appToken.add`
    TokenAdd,
    /// `appToken.get`
    TokenGet,
    /// `appToken.list`
    TokenList,
    /// `appToken.update`
    TokenUpdate,
    /// `appToken.delete`
    TokenDelete,
    /// `appToken.startSession`
    TokenStartSession,
    /// `session.startWidgetSession`
    SessionStartWidget,
    /// `session.start`
    SessionStart,
    /// `session.get`
    SessionGet,
    /// `session.end`
    SessionEnd,
}

impl Action {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::TokenAdd,
        Self::TokenGet,
        Self::TokenList,
        Self::TokenUpdate,
        Self::TokenDelete,
        Self::TokenStartSession,
        Self::SessionStartWidget,
        Self::SessionStart,
        Self::SessionGet,
        Self::SessionEnd,
    ];

    /// `service.action`, as errors name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenAdd => "appToken.add",
            Self::TokenGet => "appToken.get",
            Self::TokenList => "appToken.list",
            Self::TokenUpdate => "appToken.update",
            Self::TokenDelete => "appToken.delete",
            Self::TokenStartSession => "appToken.startSession",
            Self::SessionStartWidget => "session.startWidgetSession",
            Self::SessionStart => "session.start",
            Self::SessionGet => "session.get",
            Self::SessionEnd => "session.end",
        }
    }

    /// The path below the service URL.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::TokenAdd => "/service/appToken/action/add",
            Self::TokenGet => "/service/appToken/action/get",
            Self::TokenList => "/service/appToken/action/list",
            Self::TokenUpdate => "/service/appToken/action/update",
            Self::TokenDelete => "/service/appToken/action/delete",
            Self::TokenStartSession => "/service/appToken/action/startSession",
            Self::SessionStartWidget => "/service/session/action/startWidgetSession",
            Self::SessionStart => "/service/session/action/start",
            Self::SessionGet => "/service/session/action/get",
            Self::SessionEnd => "/service/session/action/end",
        }
    }

    /// Whether sending it a second time does no harm.
    ///
    /// Only `appToken.add` is not repeatable: each call makes a token. A `delete` repeated after a
    /// lost answer says that the id is not found, which the client takes as done.
    #[must_use]
    pub fn is_repeatable(self) -> bool {
        self != Self::TokenAdd
    }
}
