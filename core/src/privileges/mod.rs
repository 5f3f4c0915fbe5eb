//! Privileges: what a session may do, as the comma-separated string that Kaltura stores.
//!
//! Builds, parses and explains it, and compares what was asked for with what was granted. The rules
//! are those of the reference server, recorded in `tests/vectors/privileges.json`. This module knows
//! nothing of tokens, sessions or requests.

mod lint;
#[expect(
    clippy::module_inception,
    reason = "the folder is named after its main type"
)]
mod privileges;

pub use lint::{PrivilegeLint, PrivilegeUse};
pub use privileges::Privileges;
pub(crate) use privileges::refuse_ks_fields;
