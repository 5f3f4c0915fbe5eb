//! Session strings (KS) and token hashes, computed here without a server.

use std::ffi::c_char;

use kaltura_app_token as core;

use crate::boundary::{ABSENT, Failure, Remembers, call, free, get, new, set};
use crate::config::owned;
use crate::error::{kat_error, kat_status};
use crate::params::{no_fault, number};
use crate::text::{Text, kat_string, pointer};

/// What a KS to be signed says.
#[derive(Debug, Default)]
pub struct kat_ks_params {
    partner_id: Option<i64>,
    user_id: Option<String>,
    session_type: Option<i64>,
    expiry: Option<i64>,
    privileges: Option<String>,
    master_partner_id: Option<i64>,
    additional_data: Option<String>,
    fault: Option<Failure>,
}

impl Remembers for kat_ks_params {
    fn fault(&mut self) -> &mut Option<Failure> {
        &mut self.fault
    }
}

impl kat_ks_params {
    fn fields(&self) -> Result<core::KsFields, Failure> {
        no_fault(self.fault.as_ref())?;
        Ok(core::KsFields {
            partner_id: self
                .partner_id
                .ok_or_else(|| Failure::invalid("the partner id is not set"))?,
            user_id: self.user_id.clone(),
            session_type: self
                .session_type
                .map_or(core::SessionType::User, Into::into),
            expiry: self
                .expiry
                .ok_or_else(|| Failure::invalid("the expiry is not set"))?,
            privileges: self.privileges.clone().unwrap_or_default(),
            master_partner_id: self.master_partner_id,
            additional_data: self.additional_data.clone(),
        })
    }
}

pub(crate) fn version(version: i32) -> Result<core::KsVersion, Failure> {
    match version {
        1 => Ok(core::KsVersion::V1),
        2 => Ok(core::KsVersion::V2),
        _ => Err(Failure::invalid(format!(
            "version: {version} is neither 1 nor 2"
        ))),
    }
}

/// Parameters with nothing set.
#[unsafe(no_mangle)]
pub extern "C" fn kat_ks_params_new() -> *mut kat_ks_params {
    new(kat_ks_params::default)
}

/// Frees parameters. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_params_free(params: *mut kat_ks_params) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(params) }
}

/// The account. Must be set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_params_set_partner_id(
    params: *mut kat_ks_params,
    partner_id: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.partner_id = number(partner_id);
            Ok(())
        })
    }
}

/// The user. NULL: unset, which means the anonymous one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_params_set_user_id(
    params: *mut kat_ks_params,
    user_id: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.user_id = owned(c, user_id, "user_id")?;
            Ok(())
        })
    }
}

/// The type, a kat_session_type. KAT_ABSENT: unset, which means USER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_params_set_session_type(
    params: *mut kat_ks_params,
    session_type: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.session_type = number(session_type);
            Ok(())
        })
    }
}

/// When the KS expires. Must be set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_params_set_expiry_unix(
    params: *mut kat_ks_params,
    expiry_unix: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.expiry = number(expiry_unix);
            Ok(())
        })
    }
}

/// The privileges, such as "edit:*,list:*". NULL: unset, which means none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_params_set_privileges(
    params: *mut kat_ks_params,
    privileges: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.privileges = owned(c, privileges, "privileges")?;
            Ok(())
        })
    }
}

/// The account on whose behalf the KS is used. KAT_ABSENT: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_params_set_master_partner_id(
    params: *mut kat_ks_params,
    partner_id: i64,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, _| {
            params.master_partner_id = number(partner_id);
            Ok(())
        })
    }
}

/// Any text that is to travel along. NULL: unset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_params_set_additional_data(
    params: *mut kat_ks_params,
    data: *const c_char,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        set(params, |params, c| {
            params.additional_data = owned(c, data, "data")?;
            Ok(())
        })
    }
}

/// Signs a KS of this version, 1 or 2, with the account's admin secret, which also signs USER sessions.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_ks_sign(
    params: *const kat_ks_params,
    secret: *const c_char,
    version: i32,
    out: *mut *mut kat_string,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (params, secret) = (c.handle(params, "params")?, c.text(secret, "secret")?);
            let out = c.out(out, "out")?;
            let ks = core::Ks::sign(&params.fields()?, &secret.into(), self::version(version)?)?;
            out.give(&ks);
            Ok(())
        })
    }
}

/// Opens a KS with the secret that signed it, and verifies it. Whether it has expired is not looked at.
///
/// KAT_STATUS_INVALID_ARG when it is no KS, or was not signed with this secret.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_ks_open(
    ks: *const c_char,
    secret: *const c_char,
    out: *mut *mut kat_ks_info,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (ks, secret) = (c.text(ks, "ks")?, c.text(secret, "secret")?);
            let out = c.out(out, "out")?;
            out.give(core::Ks::open(&ks.into(), &[secret.into()])?);
            Ok(())
        })
    }
}

/// Reads what a KS shows to anybody: everything of a version 1, the account of a version 2.
///
/// KAT_STATUS_INVALID_ARG when it is no KS.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_ks_describe(
    ks: *const c_char,
    out: *mut *mut kat_ks_info,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (ks, out) = (c.text(ks, "ks")?, c.out(out, "out")?);
            out.give(core::Ks::describe(&ks.into())?);
            Ok(())
        })
    }
}

/// What a KS says, as far as it could be read.
#[derive(Debug)]
pub struct kat_ks_info {
    version: i32,
    verified: bool,
    partner_id: i64,
    session_type: i64,
    user_id: Option<Text>,
    expiry: i64,
    privileges: Option<Text>,
    master_partner_id: i64,
    additional_data: Option<Text>,
    random: Option<Text>,
}

impl From<core::KsInfo> for kat_ks_info {
    fn from(info: core::KsInfo) -> Self {
        Self {
            version: match info.version {
                core::KsVersion::V1 => 1,
                core::KsVersion::V2 => 2,
            },
            verified: info.verified,
            partner_id: info.partner_id.unwrap_or(ABSENT),
            session_type: info.session_type.map_or(ABSENT, core::SessionType::value),
            user_id: info.user_id.map(Text::from),
            expiry: info.expiry.unwrap_or(ABSENT),
            privileges: info.privileges.map(Text::from),
            master_partner_id: info.master_partner_id.unwrap_or(ABSENT),
            additional_data: info.additional_data.map(Text::from),
            random: info.random.map(Text::from),
        }
    }
}

/// The format: 1 or 2.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_info_version(info: *const kat_ks_info) -> i32 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| info.version) }
}

/// Whether a secret proved it genuine. A description never is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_info_verified(info: *const kat_ks_info) -> bool {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| info.verified) }
}

/// The account, or KAT_ABSENT. In a version 2 it is outside of what is signed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_info_partner_id(info: *const kat_ks_info) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| info.partner_id) }
}

/// The type, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_info_session_type(info: *const kat_ks_info) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| info.session_type) }
}

/// The user, or NULL. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_info_user_id(info: *const kat_ks_info) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| pointer(info.user_id.as_ref())) }
}

/// When it expires, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_info_expiry_unix(info: *const kat_ks_info) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| info.expiry) }
}

/// The privileges; NULL when they cannot be read without the secret. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_info_privileges(info: *const kat_ks_info) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| pointer(info.privileges.as_ref())) }
}

/// The account on whose behalf it is used, or KAT_ABSENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_info_master_partner_id(info: *const kat_ks_info) -> i64 {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| info.master_partner_id) }
}

/// Any text that travels along, or NULL. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_info_additional_data(info: *const kat_ks_info) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| pointer(info.additional_data.as_ref())) }
}

/// What makes it different from another with the same fields, or NULL. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_info_random(info: *const kat_ks_info) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(info, |info| pointer(info.random.as_ref())) }
}

/// Frees it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_ks_info_free(info: *mut kat_ks_info) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(info) }
}

/// Writes the hash that appToken.startSession wants into buffer: lower-case hex and a NUL.
///
/// buffer has room for size bytes; KAT_HASH_SIZE are enough for every hash type. written may be NULL; it gets
/// the length without the NUL. KAT_STATUS_INVALID_ARG for an unknown hash type or a buffer that is too small,
/// which is then left alone. kat_client_start_session does all of this by itself.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_token_hash(
    hash_type: *const c_char,
    ks: *const c_char,
    value: *const c_char,
    buffer: *mut c_char,
    size: usize,
    written: *mut usize,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (hash_type, ks, value) = (
                c.text(hash_type, "hash_type")?,
                c.text(ks, "ks")?,
                c.text(value, "value")?,
            );
            let hash = core::token_hash(&hash_type.into(), &ks.into(), &value.into())?;
            c.copy_out(hash.reveal(), buffer, size, "buffer")?;
            if let Some(written) = c.optional_out(written) {
                written.put(hash.reveal().len());
            }
            Ok(())
        })
    }
}
