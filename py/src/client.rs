//! `Client`: the core's client as a Python class.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kaltura_app_token as core;
use kaltura_app_token::blocking;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::import_exception;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::apart::Apart;
use crate::call::make_call;
use crate::convert::{Argument, Given, PrivilegeText, given};
use crate::errors::OrRaise;
use crate::fields::{list_options, new_token, token_update};
use crate::interpreter::Inside;
use crate::model::{Built, TokenArg, TokenId, session, session_info, token, token_page};
use crate::options::apply_options;
use crate::queue::LoopQueue;
use crate::secret::not_picklable;
use crate::settings::Settings;
use crate::walk::{Place, Tokens, Walk};

/// Manages an account's tokens and exchanges tokens for sessions.
#[pyclass(frozen, module = "kaltura_app_token")]
pub(crate) struct Client {
    /// Shared with the clients that are bound to a loop: all are closed at once.
    client: Apart<Arc<blocking::Client>>,
    /// Where calls are submitted; without one they are waited for.
    queue: Option<Py<LoopQueue>>,
}

/// How many seconds closing waits for the calls that it ends.
const PATIENCE: f64 = 2.0;
const CLOSED: &str = "the client is closed: make another one";

import_exception!(kaltura_app_token.errors, ClosedError);

impl Client {
    fn build(py: Python<'_>, builder: core::ClientBuilder) -> PyResult<Self> {
        // Here, and not in the first call that answers: a process that forks while another thread
        // imports a module has a child that waits for it.
        py.import("kaltura_app_token.model")?;
        let client = blocking::Client::new(builder).or_raise(py)?;
        Ok(Self {
            client: Apart::new(Arc::new(client)),
            queue: None,
        })
    }

    pub(crate) fn open(&self) -> PyResult<Arc<blocking::Client>> {
        if self.client.is_closed() {
            return Err(ClosedError::new_err(CLOSED));
        }
        Ok(Arc::clone(&self.client))
    }

    pub(crate) fn call<T, F>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(core::Client) -> F + Send + 'static,
        convert: fn(Python<'_>, T) -> Built,
    ) -> Built
    where
        T: Send + 'static,
        F: Future<Output = core::Result<T>> + Send + 'static,
    {
        make_call(py, &*self.open()?, self.queue.as_ref(), call, convert)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one of several conversions")]
fn nothing(py: Python<'_>, (): ()) -> Built {
    Ok(py.None())
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (partner_id=None, *, admin_secret=None, ks=None, service_url=None, user_id=None,
        admin_session_duration=None, admin_privileges=None, **options))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of a Python constructor"
    )]
    fn new(
        py: Python<'_>,
        partner_id: Given<'_, '_>,
        admin_secret: Given<'_, '_>,
        ks: Given<'_, '_>,
        service_url: Given<'_, '_>,
        user_id: Given<'_, '_>,
        admin_session_duration: Given<'_, '_>,
        admin_privileges: Given<'_, '_>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let settings = Settings::new(
            partner_id,
            admin_secret,
            ks,
            service_url,
            user_id,
            admin_session_duration,
            admin_privileges,
            None,
            None,
            None,
            false,
        )?;
        let builder = core::Client::builder().settings(settings.0);
        Self::build(py, apply_options(builder, options)?)
    }

    /// A client for resolved settings; takes the options of the constructor.
    ///
    /// Raises:
    ///     ConfigError: A value cannot be used.
    ///
    /// Example:
    ///     >>> settings = kat.Settings(partner_id=102, service_url="eu")
    ///     >>> kat.Client.from_settings(settings).service_url
    ///     'https://api.eu.kaltura.com/api_v3'
    #[staticmethod]
    #[pyo3(signature = (settings, **options))]
    fn from_settings(
        py: Python<'_>,
        settings: &Bound<'_, Settings>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let builder = core::Client::builder().settings(settings.get().0.clone());
        Self::build(py, apply_options(builder, options)?)
    }

    /// A client for what the `KALTURA_…` variables say; takes the options of the constructor.
    ///
    /// Raises:
    ///     ConfigError: The account is missing, or a variable cannot be used.
    ///
    /// Example:
    ///     >>> os.environ["KALTURA_PARTNER_ID"] = "102"
    ///     >>> kat.Client.from_env().partner_id
    ///     102
    #[staticmethod]
    #[pyo3(signature = (**options))]
    fn from_env(py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let builder = apply_options(core::Client::builder(), options)?;
        let settings = core::Settings::from_env()
            .and_then(|settings| core::Settings::resolve(&[settings], core::Need::Exchange))
            .or_raise(py)?;
        Self::build(py, builder.settings(settings))
    }

    /// A client for what a `config.json` says; takes the options of the constructor.
    ///
    /// Raises:
    ///     ConfigError: No such file, not JSON, or a value in it that cannot be used.
    ///
    /// Example:
    ///     >>> kat.Client.from_config("no-such-file.json")
    ///     Traceback (most recent call last):
    ///     kaltura_app_token.errors.ConfigError: Configuration file 'no-such-file.json' not found.
    #[staticmethod]
    #[pyo3(signature = (path=None, **options), text_signature = "(path='config.json', **options)")]
    fn from_config(
        py: Python<'_>,
        path: Given<'_, '_>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let path = given("path", path)?.unwrap_or_else(|| PathBuf::from("config.json"));
        let builder = apply_options(core::Client::builder(), options)?;
        let settings = core::Settings::from_config_file(&path)
            .and_then(|settings| core::Settings::resolve(&[settings], core::Need::Exchange))
            .or_raise(py)?;
        Self::build(py, builder.settings(settings))
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_exc_info))]
    fn __exit__(&self, py: Python<'_>, _exc_info: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    /// Ends the calls that are under way, in whichever thread, and closes the connections. Leaving a
    /// `with` does the same.
    ///
    /// Those calls and all later ones, also those of walks and of providers over this client, raise
    /// `ClosedError`, which is a `ValueError`; an `add_token` that may have arrived raises
    /// `OutcomeUnknown`. Waits up to two seconds for them.
    ///
    /// Example:
    ///     >>> with sandbox.client() as client:
    ///     ...     client.close()
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.close_within(py, PATIENCE)
    }

    /// Closes, waiting no longer than so many seconds for the calls that this ends.
    #[pyo3(name = "_close")]
    fn close_within(&self, py: Python<'_>, patience: f64) -> PyResult<()> {
        let patience = Duration::try_from_secs_f64(patience).unwrap_or_default();
        Inside::enter(py).detach(|| self.client.close(patience))
    }

    /// Ends the calls that are under way and refuses later ones; waits for nothing.
    fn _stop(&self) {
        self.client.stop();
    }

    #[getter]
    fn _closed(&self) -> bool {
        self.client.is_closed()
    }

    /// How many calls have not ended yet, in all threads and loops.
    #[getter]
    fn _under_way(&self) -> usize {
        self.client.under_way()
    }

    /// The same client, whose calls go to this queue and answer with their numbers there.
    fn _on(&self, queue: Py<LoopQueue>) -> PyResult<Self> {
        Ok(Self {
            client: Apart::new(self.open()?),
            queue: Some(queue),
        })
    }

    /// The service URL in use, ending in `/api_v3`.
    #[getter]
    fn service_url(&self, py: Python<'_>) -> PyResult<String> {
        self.open()?.service_url().or_raise(py)
    }

    /// The account; `None` when it is not set.
    #[getter]
    fn partner_id(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        self.open()?.partner_id().or_raise(py)
    }

    /// How many seconds the server's clock is ahead of this machine's; `None` before its first answer.
    #[getter]
    fn clock_difference(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        self.open()?
            .with_client(core::Client::clock_difference_seconds)
            .or_raise(py)
    }

    #[doc = concat!("add_token($self, *, ", new_fields!(), ", response_profile=None)\n--\n")]
    /// Creates a token. Its value is in the answer.
    ///
    /// The request is never sent a second time once it may have arrived. What is `None` is not sent.
    ///
    /// Args:
    ///     description: A note for people.
    ///     hash_type: `None` leaves it to the server, which takes SHA1.
    ///     session_type: `None` lets whoever exchanges the token choose, ADMIN included.
    ///     session_duration: The longest life of its sessions: seconds or a `timedelta`.
    ///     session_privileges: Such as `"sview:*,list:*"` or `["sview:*", "list:*"]`.
    ///     session_user_id: The user of its sessions.
    ///     expiry: When it stops working: unix seconds or an aware `datetime`; `None` for never.
    ///     response_profile: Which fields the answer is to carry.
    ///
    /// Raises:
    ///     ConfigError: A value that the server would misread; nothing was sent.
    ///     OutcomeUnknown: Nobody can tell whether the token exists; see its `candidate_ids`.
    ///     ApiError, TransportError, HttpError: No token was created.
    ///
    /// Example:
    ///     >>> token = client.add_token(description="nightly export", session_duration=3600)
    ///     >>> token.session_duration, token.session_type, token.hash_type
    ///     (3600, SessionType.USER, 'SHA256')
    ///     >>> token.token
    ///     Secret('****')
    #[pyo3(signature = (*, response_profile=None, **fields), text_signature = None)]
    fn add_token(
        &self,
        py: Python<'_>,
        response_profile: Given<'_, '_>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> Built {
        let new = new_token(fields)?;
        let profile = given("response_profile", response_profile)?;
        self.call(
            py,
            move |client| async move {
                let profile = profile.as_ref();
                client.add_token_with_profile(&new, profile).await
            },
            token,
        )
    }

    /// One token, with its value.
    ///
    /// Raises:
    ///     TokenNotFound: The id is unknown here, or the token is deleted.
    ///
    /// Example:
    ///     >>> token = client.add_token(description="mine")
    ///     >>> client.get_token(token.id).description
    ///     'mine'
    #[pyo3(signature = (id, *, response_profile=None))]
    fn get_token(
        &self,
        py: Python<'_>,
        id: &Bound<'_, PyAny>,
        response_profile: Given<'_, '_>,
    ) -> Built {
        let TokenId(id) = Argument::read("id", id)?;
        let profile = given("response_profile", response_profile)?;
        self.call(
            py,
            move |client| async move {
                let profile = profile.as_ref();
                client.get_token_with_profile(&id, profile).await
            },
            token,
        )
    }

    /// One page of tokens. `tokens()` walks over all of them.
    ///
    /// Args:
    ///     page_size: 1 to 500.
    ///     page_index: From 1.
    ///     with_secrets: Whether the values are to be sent too; they stay on the server otherwise.
    ///     response_profile: Which fields the answer is to carry.
    ///     **filters: `id_equal`, `id_in`, `status_equal`, `status_in`, `created_at_…` and `updated_at_…`
    ///         with `greater_than_or_equal` and `less_than_or_equal` (unix seconds or an aware
    ///         `datetime`), `session_user_id_equal`, `order_by`; and, applied here because servers
    ///         ignore them, `hash_type_equal` and `session_type_equal`.
    ///
    /// Raises:
    ///     ConfigError: A page or a filter that the server would misread.
    ///
    /// Example:
    ///     >>> page = client.list_tokens(page_size=10, order_by="-createdAt")
    ///     >>> page.total_count >= len(page.tokens)
    ///     True
    #[pyo3(signature = (*, page_size=None, page_index=None, with_secrets=None, response_profile=None, **filters),
        text_signature = "($self, *, page_size=500, page_index=1, with_secrets=False, response_profile=None, \
        **filters)")]
    fn list_tokens(
        &self,
        py: Python<'_>,
        page_size: Given<'_, '_>,
        page_index: Given<'_, '_>,
        with_secrets: Given<'_, '_>,
        response_profile: Given<'_, '_>,
        filters: Option<&Bound<'_, PyDict>>,
    ) -> Built {
        let options = list_options(with_secrets, response_profile, filters)?;
        let pager = core::Pager {
            page_size: given("page_size", page_size)?.unwrap_or(core::Pager::MAX_PAGE_SIZE),
            page_index: given("page_index", page_index)?.unwrap_or(1),
        };
        self.call(
            py,
            move |client| async move { client.list_tokens(&options, pager).await },
            token_page,
        )
    }

    /// All tokens that pass the filter, oldest first, asked for page by page.
    ///
    /// Every token that exists from the start of the walk to its end comes exactly once, whatever is
    /// created or deleted meanwhile. Takes the filters of `list_tokens` but `order_by`.
    ///
    /// Example:
    ///     >>> for token in client.tokens(session_type_equal="ADMIN"):
    ///     ...     print(token.id)
    #[pyo3(signature = (*, with_secrets=None, response_profile=None, **filters),
        text_signature = "($self, *, with_secrets=False, response_profile=None, **filters)")]
    fn tokens(
        &self,
        py: Python<'_>,
        with_secrets: Given<'_, '_>,
        response_profile: Given<'_, '_>,
        filters: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Tokens> {
        let options = list_options(with_secrets, response_profile, filters)?;
        let walk = self.open()?.tokens(options).or_raise(py)?;
        Ok(Tokens(Apart::new(Mutex::new(walk))))
    }

    /// A walk over all tokens whose pages are asked for through the queue.
    #[pyo3(signature = (*, with_secrets=None, response_profile=None, **filters),
        text_signature = "($self, *, with_secrets=False, response_profile=None, **filters)")]
    fn _walk(
        &self,
        py: Python<'_>,
        with_secrets: Given<'_, '_>,
        response_profile: Given<'_, '_>,
        filters: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Walk> {
        let options = list_options(with_secrets, response_profile, filters)?;
        let walk = self
            .open()?
            .with_client(|client| client.tokens(options))
            .or_raise(py)?;
        Ok(Walk(Apart::new(Arc::new(Mutex::new(Some(walk))))))
    }

    /// The next tokens of a walk, at most a page of them; none at its end.
    fn _next_tokens(&self, py: Python<'_>, walk: &Bound<'_, Walk>) -> Built {
        let place = Arc::clone(&walk.get().0);
        let at_rest = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut tokens = at_rest.ok_or_else(|| {
            PyRuntimeError::new_err("the walk is waiting for a page already: use it from one task")
        })?;
        self.call(
            py,
            move |client| async move {
                let filled = client.unless_cancelled(tokens.fill()).await;
                *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokens);
                filled.map(|_| place)
            },
            // Taken out only here, where somebody gets them.
            |py, place: Place| {
                let mut walk = place.lock().unwrap_or_else(PoisonError::into_inner);
                let page = walk.iter_mut().flat_map(core::Tokens::take_page);
                page.map(|one| token(py, one))
                    .collect::<PyResult<Vec<_>>>()?
                    .into_py_any(py)
            },
        )
    }

    #[doc = concat!("update_token($self, id, *, ", changed_fields!(), ", clear=(), response_profile=None)\n--\n")]
    /// Changes a token: only what is not `None` is sent, and `clear` sets fields to null.
    ///
    /// Args:
    ///     id: The token's id, or the `AppToken` itself.
    ///     clear: Fields by the API's names, such as `"expiry"` (never again) or `"sessionUserId"`.
    ///     others: As for `add_token`.
    ///
    /// Raises:
    ///     ConfigError: Nothing is to change, or a value would be misread.
    ///     NotUpdatable: The server does not let the field change.
    ///
    /// Example:
    ///     >>> token = client.add_token(description="a", session_user_id="alice")
    ///     >>> token = client.update_token(token.id, description="b", clear=["sessionUserId"])
    ///     >>> token.description, token.session_user_id
    ///     ('b', None)
    #[pyo3(signature = (id, *, clear=None, response_profile=None, **fields), text_signature = None)]
    fn update_token(
        &self,
        py: Python<'_>,
        id: &Bound<'_, PyAny>,
        clear: Given<'_, '_>,
        response_profile: Given<'_, '_>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> Built {
        let TokenId(id) = Argument::read("id", id)?;
        let update = token_update(fields, clear)?;
        let profile = given("response_profile", response_profile)?;
        self.call(
            py,
            move |client| async move {
                let profile = profile.as_ref();
                client
                    .update_token_with_profile(&id, &update, profile)
                    .await
            },
            token,
        )
    }

    #[doc = concat!("preview_add($self, *, ", new_fields!(), ")\n--\n")]
    /// What `add_token` would send, credentials masked; nothing is sent.
    #[pyo3(signature = (**fields), text_signature = None)]
    fn preview_add(
        &self,
        py: Python<'_>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Vec<(String, String)>> {
        let new = new_token(fields)?;
        let preview = self.open()?.with_client(|client| client.preview_add(&new));
        preview.and_then(|fields| fields).or_raise(py)
    }

    #[doc = concat!("preview_update($self, id, *, ", changed_fields!(), ", clear=())\n--\n")]
    /// What `update_token` would send, credentials masked; nothing is sent.
    #[pyo3(signature = (id, *, clear=None, **fields), text_signature = None)]
    fn preview_update(
        &self,
        py: Python<'_>,
        id: &Bound<'_, PyAny>,
        clear: Given<'_, '_>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Vec<(String, String)>> {
        let TokenId(id) = Argument::read("id", id)?;
        let update = token_update(fields, clear)?;
        let preview = self
            .open()?
            .with_client(|client| client.preview_update(&id, &update));
        preview.and_then(|fields| fields).or_raise(py)
    }

    /// Deletes a token, the only way to revoke it. Its sessions may end with it.
    ///
    /// Raises:
    ///     TokenNotFound: The id is unknown here. Not when an answer was lost and the repeated request
    ///         says so: then it was this call that deleted it.
    ///
    /// Example:
    ///     >>> client.delete_token(client.add_token().id)
    fn delete_token(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> Built {
        let TokenId(id) = Argument::read("id", id)?;
        self.call(
            py,
            move |client| async move { client.delete_token(&id).await },
            nothing,
        )
    }

    /// Exchanges a token for a session. Needs the account and the token, no admin secret.
    ///
    /// Args:
    ///     id: The token: its id, or the `AppToken` itself, which brings value and hash type along.
    ///     token: Its value.
    ///     hash_type: Its hash type; SHA256 where nothing says otherwise.
    ///     user_id: The session's user; one on the token wins.
    ///     session_type: `"USER"` or `"ADMIN"`; one on the token wins.
    ///     duration: How long the session is to live: seconds or a `timedelta`; capped by the token.
    ///     privileges: A text, or a list of them, in addition to the token's; see
    ///         `dropped_privileges` of the answer.
    ///
    /// Raises:
    ///     ConfigError: The token's value is not known.
    ///     InvalidTokenHash: Wrong value or hash type.
    ///     TokenNotFound, TokenNotActive, TokenExpired: The token cannot be exchanged.
    ///
    /// Example:
    ///     >>> token = client.add_token(session_privileges=["sview:*", "list:*"])
    ///     >>> session = client.start_session(token, duration=600, privileges="edit:*")
    ///     >>> session.dropped_privileges
    ///     ('edit:*',)
    #[pyo3(signature = (id, token=None, *, hash_type=None, user_id=None, session_type=None, duration=None, privileges=None))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of a Python method"
    )]
    fn start_session(
        &self,
        py: Python<'_>,
        id: &Bound<'_, PyAny>,
        token: Given<'_, '_>,
        hash_type: Given<'_, '_>,
        user_id: Given<'_, '_>,
        session_type: Given<'_, '_>,
        duration: Given<'_, '_>,
        privileges: Given<'_, '_>,
    ) -> Built {
        let known = TokenArg::read("id", id)?;
        let hash_type = given("hash_type", hash_type)?.or(known.hash_type.clone());
        let value = given("token", token)?.or(known.value.clone());
        let value = value.ok_or_else(|| known.without_value(py))?;
        let mut request = core::SessionRequest::new(known.id, value);
        if let Some(hash_type) = hash_type {
            request = request.hash_type(hash_type);
        }
        if let Some(user_id) = given::<String>("user_id", user_id)? {
            request = request.user_id(user_id);
        }
        if let Some(kind) = given("session_type", session_type)? {
            request = request.session_type(kind);
        }
        if let Some(life) = given("duration", duration)? {
            request = request.expiry(life);
        }
        if let Some(PrivilegeText(text)) = given("privileges", privileges)? {
            request = request.privileges(text);
        }
        self.call(
            py,
            move |client| async move { client.start_session(&request).await },
            session,
        )
    }

    /// A new anonymous session, for anybody who knows the account.
    ///
    /// Raises:
    ///     ConfigError: The client has no partner id.
    ///
    /// Example:
    ///     >>> client.start_widget_session().ks
    ///     Secret('****')
    fn start_widget_session(&self, py: Python<'_>) -> Built {
        self.call(
            py,
            |client| async move { client.start_widget_session().await },
            session,
        )
    }

    /// An ADMIN session by `session.start`, which sends the admin secret to the server.
    ///
    /// Raises:
    ///     ApiError: `START_SESSION_ERROR`: partner id and secret do not belong together.
    ///
    /// Example:
    ///     >>> client.start_admin_session().session_type
    ///     SessionType.ADMIN
    fn start_admin_session(&self, py: Python<'_>) -> Built {
        self.call(
            py,
            |client| async move { client.start_admin_session().await },
            session,
        )
    }

    /// An ADMIN session signed here with the admin secret; nothing is sent.
    ///
    /// Raises:
    ///     ConfigError: The client has no partner id or no admin secret.
    ///
    /// Example:
    ///     >>> client.sign_admin_session().session_type
    ///     SessionType.ADMIN
    #[pyo3(signature = (*, version=None), text_signature = "($self, *, version=2)")]
    fn sign_admin_session(&self, py: Python<'_>, version: Given<'_, '_>) -> Built {
        let version = given("version", version)?.unwrap_or_default();
        let signed = self
            .open()?
            .with_client(|client| client.sign_admin_session(version));
        session(py, signed.and_then(|session| session).or_raise(py)?)
    }

    /// What the server reads from a session; without one, from the admin session itself.
    ///
    /// Raises:
    ///     InvalidSession: The server does not accept it.
    ///     PermissionDenied: The asking session is not an ADMIN one.
    ///
    /// Example:
    ///     >>> client.session_info(client.start_widget_session().ks).session_type
    ///     SessionType.USER
    #[pyo3(signature = (ks=None))]
    fn session_info(&self, py: Python<'_>, ks: Given<'_, '_>) -> Built {
        let ks = given("ks", ks)?;
        self.call(
            py,
            move |client| async move { client.session_info(ks.as_ref()).await },
            session_info,
        )
    }

    /// Ends a session.
    ///
    /// Ending one that was minted from a token ends **every** session of that token, on the reference
    /// server also those minted later.
    ///
    /// Raises:
    ///     InvalidSession: The server does not accept it.
    ///
    /// Example:
    ///     >>> client.end_session(client.start_admin_session().ks)
    fn end_session(&self, py: Python<'_>, ks: &Bound<'_, PyAny>) -> Built {
        let ks = core::Secret::read("ks", ks)?;
        self.call(
            py,
            move |client| async move { client.end_session(&ks).await },
            nothing,
        )
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let Ok(client) = self.open() else {
            return Ok("Client(closed)".to_owned());
        };
        let partner_id = client.partner_id().or_raise(py)?;
        let partner_id = partner_id.map_or_else(|| "None".to_owned(), |id| id.to_string());
        Ok(format!(
            "Client(partner_id={partner_id}, service_url='{}')",
            client.service_url().or_raise(py)?
        ))
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an instance")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(not_picklable(
            "Client",
            "make another from the same settings",
        ))
    }
}
