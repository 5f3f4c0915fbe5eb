//! The calls to the server, each as one value that can be waited for or put into a queue.

use std::ffi::c_char;
use std::time::Duration;

use kaltura_app_token as core;

use crate::boundary::{Caller, Failure, Place, strike};
use crate::params::{kat_list_params, kat_response_profile, kat_session_params, kat_token_params};

/// Which call a completion belongs to.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum kat_operation {
    /// kat_client_add_token_submit: take a token.
    AddToken = 1,
    /// kat_client_get_token_submit: take a token.
    GetToken = 2,
    /// kat_client_update_token_submit: take a token.
    UpdateToken = 3,
    /// kat_client_delete_token_submit: nothing to take.
    DeleteToken = 4,
    /// kat_client_list_tokens_submit: take a list.
    ListTokens = 5,
    /// kat_client_start_session_submit: take a session.
    StartSession = 6,
    /// kat_client_start_widget_session_submit: take a session.
    StartWidgetSession = 7,
    /// kat_client_start_admin_session_submit: take a session.
    StartAdminSession = 8,
    /// kat_client_session_info_submit: take a session info.
    SessionInfo = 9,
    /// kat_client_end_session_submit: nothing to take.
    EndSession = 10,
    /// kat_provider_get_submit: take a session.
    ProviderGet = 11,
    /// kat_provider_reject_submit: take a session.
    ProviderReject = 12,
}

/// A call with its arguments.
#[derive(Debug)]
pub(crate) enum Operation {
    AddToken(core::NewToken, Option<core::ResponseProfile>),
    GetToken(String, Option<core::ResponseProfile>),
    UpdateToken(String, core::TokenUpdate, Option<core::ResponseProfile>),
    DeleteToken(String),
    ListTokens(core::ListOptions, core::Pager),
    StartSession(core::SessionRequest),
    StartWidgetSession,
    StartAdminSession,
    SessionInfo(Option<core::Secret>),
    EndSession(core::Secret),
    ProviderGet(core::SessionProvider, core::SessionKey, Duration),
    ProviderReject(core::SessionProvider, core::Session, core::KsFailure),
}

/// What a call came to.
#[derive(Debug)]
pub(crate) enum Answer {
    Token(core::AppToken),
    List(core::TokenPage),
    Session(core::Session),
    SessionInfo(core::SessionInfo),
    Nothing,
}

impl Operation {
    pub(crate) fn add_token(c: &Caller, params: *const kat_token_params) -> Result<Self, Failure> {
        let params = c.handle(params, "params")?;
        Ok(Self::AddToken(params.new_token()?, params.profile()))
    }

    pub(crate) fn get_token(
        c: &Caller,
        id: *const c_char,
        profile: *const kat_response_profile,
    ) -> Result<Self, Failure> {
        let profile = c.optional(profile).map(|profile| profile.0.clone());
        Ok(Self::GetToken(c.text(id, "id")?.to_owned(), profile))
    }

    pub(crate) fn update_token(
        c: &Caller,
        id: *const c_char,
        params: *const kat_token_params,
    ) -> Result<Self, Failure> {
        let (id, params) = (c.text(id, "id")?, c.handle(params, "params")?);
        Ok(Self::UpdateToken(
            id.to_owned(),
            params.update()?,
            params.profile(),
        ))
    }

    pub(crate) fn delete_token(c: &Caller, id: *const c_char) -> Result<Self, Failure> {
        Ok(Self::DeleteToken(c.text(id, "id")?.to_owned()))
    }

    pub(crate) fn list_tokens(c: &Caller, params: *const kat_list_params) -> Result<Self, Failure> {
        let (options, pager) = kat_list_params::read(c.optional(params))?;
        Ok(Self::ListTokens(options, pager))
    }

    pub(crate) fn start_session(
        c: &Caller,
        params: *const kat_session_params,
    ) -> Result<Self, Failure> {
        Ok(Self::StartSession(c.handle(params, "params")?.request()?))
    }

    pub(crate) fn session_info(c: &Caller, ks: *const c_char) -> Result<Self, Failure> {
        Ok(Self::SessionInfo(
            c.optional_text(ks, "ks")?.map(core::Secret::from),
        ))
    }

    pub(crate) fn end_session(c: &Caller, ks: *const c_char) -> Result<Self, Failure> {
        Ok(Self::EndSession(c.text(ks, "ks")?.into()))
    }

    pub(crate) fn kind(&self) -> kat_operation {
        match self {
            Self::AddToken(..) => kat_operation::AddToken,
            Self::GetToken(..) => kat_operation::GetToken,
            Self::UpdateToken(..) => kat_operation::UpdateToken,
            Self::DeleteToken(..) => kat_operation::DeleteToken,
            Self::ListTokens(..) => kat_operation::ListTokens,
            Self::StartSession(..) => kat_operation::StartSession,
            Self::StartWidgetSession => kat_operation::StartWidgetSession,
            Self::StartAdminSession => kat_operation::StartAdminSession,
            Self::SessionInfo(..) => kat_operation::SessionInfo,
            Self::EndSession(..) => kat_operation::EndSession,
            Self::ProviderGet(..) => kat_operation::ProviderGet,
            Self::ProviderReject(..) => kat_operation::ProviderReject,
        }
    }

    pub(crate) async fn run(self, client: core::Client) -> core::Result<Answer> {
        strike(Place::Operation);
        match self {
            Self::AddToken(token, profile) => client
                .add_token_with_profile(&token, profile.as_ref())
                .await
                .map(Answer::Token),
            Self::GetToken(id, profile) => client
                .get_token_with_profile(&id, profile.as_ref())
                .await
                .map(Answer::Token),
            Self::UpdateToken(id, update, profile) => client
                .update_token_with_profile(&id, &update, profile.as_ref())
                .await
                .map(Answer::Token),
            Self::DeleteToken(id) => client.delete_token(&id).await.map(|()| Answer::Nothing),
            Self::ListTokens(options, pager) => {
                client.list_tokens(&options, pager).await.map(Answer::List)
            }
            Self::StartSession(request) => {
                client.start_session(&request).await.map(Answer::Session)
            }
            Self::StartWidgetSession => client.start_widget_session().await.map(Answer::Session),
            Self::StartAdminSession => client.start_admin_session().await.map(Answer::Session),
            Self::SessionInfo(ks) => client
                .session_info(ks.as_ref())
                .await
                .map(Answer::SessionInfo),
            Self::EndSession(ks) => client.end_session(&ks).await.map(|()| Answer::Nothing),
            Self::ProviderGet(provider, key, min_remaining) => given_up_with(&client, provider)
                .get_with(&key, min_remaining)
                .await
                .map(Answer::Session),
            Self::ProviderReject(provider, session, reason) => given_up_with(&client, provider)
                .reject(&session, reason)
                .await
                .map(Answer::Session),
        }
    }
}

/// The provider for one call, which ends when the client of this call is cancelled.
fn given_up_with(client: &core::Client, provider: core::SessionProvider) -> core::SessionProvider {
    match client.cancel() {
        Some(cancel) => provider.with_cancel(cancel),
        None => provider,
    }
}

/// Takes one kind of answer out, and leaves any other where it is.
pub(crate) trait Take: Sized {
    fn take(answer: &mut Answer) -> Option<Self>;
}

impl Take for core::AppToken {
    fn take(answer: &mut Answer) -> Option<Self> {
        match std::mem::replace(answer, Answer::Nothing) {
            Answer::Token(token) => Some(token),
            other => {
                *answer = other;
                None
            }
        }
    }
}

impl Take for core::TokenPage {
    fn take(answer: &mut Answer) -> Option<Self> {
        match std::mem::replace(answer, Answer::Nothing) {
            Answer::List(page) => Some(page),
            other => {
                *answer = other;
                None
            }
        }
    }
}

impl Take for core::Session {
    fn take(answer: &mut Answer) -> Option<Self> {
        match std::mem::replace(answer, Answer::Nothing) {
            Answer::Session(session) => Some(session),
            other => {
                *answer = other;
                None
            }
        }
    }
}

impl Take for core::SessionInfo {
    fn take(answer: &mut Answer) -> Option<Self> {
        match std::mem::replace(answer, Answer::Nothing) {
            Answer::SessionInfo(info) => Some(info),
            other => {
                *answer = other;
                None
            }
        }
    }
}

impl Take for () {
    fn take(answer: &mut Answer) -> Option<Self> {
        matches!(answer, Answer::Nothing).then_some(())
    }
}
