//! `kat_privileges`: the comma-separated string of what a session may do, built, read and explained.

use std::ffi::c_char;

use kaltura_app_token as core;

use crate::boundary::{Failure, Numbered, call, free, get, new};
use crate::error::{kat_error, kat_status};
use crate::text::{Text, pointer};

/// Where a privilege string is going to be used; the server treats the two differently.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub enum kat_privilege_use {
    /// On a token, or in a KS signed with the admin secret.
    Token = 0,
    /// Asked for in addition when a token is exchanged for a session.
    StartSession = 1,
}

impl Numbered for kat_privilege_use {
    const NAME: &'static str = "kat_privilege_use";
    const ALL: &'static [Self] = &[Self::Token, Self::StartSession];
    fn number(self) -> i32 {
        self as i32
    }
}

/// An ordered set of privileges, each a name with any number of values.
///
/// What is borrowed from it is valid until it is changed or freed.
#[derive(Debug)]
pub struct kat_privileges {
    privileges: core::Privileges,
    text: Text,
    items: Vec<(Text, Vec<Text>)>,
}

impl From<core::Privileges> for kat_privileges {
    fn from(privileges: core::Privileges) -> Self {
        let texts = |values: &[String]| values.iter().map(|value| Text::new(value)).collect();
        Self {
            text: privileges.to_string().into(),
            items: privileges
                .iter()
                .map(|(name, values)| (name.into(), texts(values)))
                .collect(),
            privileges,
        }
    }
}

impl kat_privileges {
    fn change(
        &mut self,
        change: impl FnOnce(core::Privileges) -> core::Result<core::Privileges>,
    ) -> Result<(), Failure> {
        *self = change(self.privileges.clone())?.into();
        Ok(())
    }
}

/// No privilege at all.
#[unsafe(no_mangle)]
pub extern "C" fn kat_privileges_new() -> *mut kat_privileges {
    new(|| core::Privileges::new().into())
}

/// Reads a privilege string the way the server does: nothing is trimmed and nothing refused. See
/// kat_privileges_lint.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_privileges_parse(
    text: *const c_char,
    out: *mut *mut kat_privileges,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (text, out) = (c.text(text, "text")?, c.out(out, "out")?);
            out.give(core::Privileges::parse(text));
            Ok(())
        })
    }
}

/// The guide's set for read-only playback with entitlements in this privacy context.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_privileges_read_only_playback(
    privacy_context: *const c_char,
    out: *mut *mut kat_privileges,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (context, out) = (
                c.text(privacy_context, "privacy_context")?,
                c.out(out, "out")?,
            );
            out.give(core::Privileges::read_only_playback(context)?);
            Ok(())
        })
    }
}

/// The guide's set for an upload integration.
#[unsafe(no_mangle)]
pub extern "C" fn kat_privileges_upload() -> *mut kat_privileges {
    new(|| core::Privileges::upload().into())
}

/// The guide's set for a ticket to play one entry: ten calls in the playback role.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_privileges_single_entry_playback(
    entry_id: *const c_char,
    out: *mut *mut kat_privileges,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (entry, out) = (c.text(entry_id, "entry_id")?, c.out(out, "out")?);
            out.give(core::Privileges::single_entry_playback(entry)?);
            Ok(())
        })
    }
}

/// The guide's set for an integration that shows in analytics under this app id.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_privileges_analytics_tagged(
    app_id: *const c_char,
    out: *mut *mut kat_privileges,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (app, out) = (c.text(app_id, "app_id")?, c.out(out, "out")?);
            out.give(core::Privileges::analytics_tagged(app)?);
            Ok(())
        })
    }
}

/// Adds a value to the privilege of that name.
///
/// KAT_STATUS_INVALID_ARG when the name is empty or starts with _, the value is empty, or either holds a
/// character that would change the meaning of the string; the set is then as it was.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_privileges_add(
    privileges: *mut kat_privileges,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let privileges = c.handle_mut(privileges, "privileges")?;
            let (name, value) = (c.text(name, "name")?, c.text(value, "value")?);
            privileges.change(|privileges| privileges.with(name, value))
        })
    }
}

/// Adds a privilege without a value, such as "enableentitlement". Refuses as kat_privileges_add does.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_privileges_add_flag(
    privileges: *mut kat_privileges,
    name: *const c_char,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (privileges, name) = (
                c.handle_mut(privileges, "privileges")?,
                c.text(name, "name")?,
            );
            privileges.change(|privileges| privileges.with_flag(name))
        })
    }
}

/// Takes a privilege away, whatever its values; one that is not there is no failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_privileges_remove(
    privileges: *mut kat_privileges,
    name: *const c_char,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (privileges, name) = (
                c.handle_mut(privileges, "privileges")?,
                c.text(name, "name")?,
            );
            privileges.change(|privileges| Ok(privileges.without(name)))
        })
    }
}

/// The string, such as "sview:*,edit:1_a/1_b". Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_privileges_text(privileges: *const kat_privileges) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(privileges, |privileges| privileges.text.as_ptr()) }
}

/// How many privileges there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_privileges_len(privileges: *const kat_privileges) -> usize {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(privileges, |privileges| privileges.items.len()) }
}

/// The name of one, from 0; NULL beyond the last. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_privileges_name(
    privileges: *const kat_privileges,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        get(privileges, |privileges| {
            pointer(privileges.items.get(index).map(|(name, _)| name))
        })
    }
}

/// How many values it has; 0 for a flag, and beyond the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_privileges_value_count(
    privileges: *const kat_privileges,
    index: usize,
) -> usize {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        get(privileges, |privileges| {
            privileges
                .items
                .get(index)
                .map_or(0, |(_, values)| values.len())
        })
    }
}

/// One of its values, from 0; NULL beyond the last. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_privileges_value(
    privileges: *const kat_privileges,
    index: usize,
    value: usize,
) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        get(privileges, |privileges| {
            pointer(
                privileges
                    .items
                    .get(index)
                    .and_then(|(_, values)| values.get(value)),
            )
        })
    }
}

/// Frees it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_privileges_free(privileges: *mut kat_privileges) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(privileges) }
}

/// What will not work as it reads: the findings of kat_privileges_lint.
#[derive(Debug)]
pub struct kat_lint_list(Vec<Lint>);

#[derive(Debug)]
struct Lint {
    rule: Text,
    privilege: Text,
    message: Text,
}

impl From<Vec<core::PrivilegeLint>> for kat_lint_list {
    fn from(lints: Vec<core::PrivilegeLint>) -> Self {
        let lint = |lint: core::PrivilegeLint| Lint {
            rule: lint.rule.into(),
            privilege: lint.privilege.into(),
            message: lint.message.into(),
        };
        Self(lints.into_iter().map(lint).collect())
    }
}

/// Explains what will not work when used for this, a kat_privilege_use. No finding is an empty list.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kat_privileges_lint(
    privileges: *const kat_privileges,
    used_for: i32,
    out: *mut *mut kat_lint_list,
    err: *mut *mut kat_error,
) -> kat_status {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        call(err, |c| {
            let (privileges, out) = (c.handle(privileges, "privileges")?, c.out(out, "out")?);
            let used_for = match kat_privilege_use::from_number(used_for, "used_for")? {
                kat_privilege_use::Token => core::PrivilegeUse::Token,
                kat_privilege_use::StartSession => core::PrivilegeUse::StartSession,
            };
            out.give(privileges.privileges.lint(used_for));
            Ok(())
        })
    }
}

/// How many findings there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_lint_list_len(lints: *const kat_lint_list) -> usize {
    // SAFETY: the caller keeps the header's contract.
    unsafe { get(lints, |lints| lints.0.len()) }
}

/// The short stable name of a finding's rule, such as "flag-with-value", from 0; NULL beyond the last.
/// Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_lint_list_rule(
    lints: *const kat_lint_list,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        get(lints, |lints| {
            pointer(lints.0.get(index).map(|lint| &lint.rule))
        })
    }
}

/// The privilege that it is about, as it stands in the string; NULL beyond the last. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_lint_list_privilege(
    lints: *const kat_lint_list,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        get(lints, |lints| {
            pointer(lints.0.get(index).map(|lint| &lint.privilege))
        })
    }
}

/// What happens and what to write instead; NULL beyond the last. Borrowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_lint_list_message(
    lints: *const kat_lint_list,
    index: usize,
) -> *const c_char {
    // SAFETY: the caller keeps the header's contract.
    unsafe {
        get(lints, |lints| {
            pointer(lints.0.get(index).map(|lint| &lint.message))
        })
    }
}

/// Frees it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kat_lint_list_free(lints: *mut kat_lint_list) {
    // SAFETY: the caller keeps the header's contract.
    unsafe { free(lints) }
}
