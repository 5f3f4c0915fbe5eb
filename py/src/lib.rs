//! The native half of the Python package: thin classes over `kaltura_app_token::blocking`.
//!
//! Holds no logic of its own and never sees HTTP, JSON or a URL's parts. What Python sees of it is
//! described in `kaltura_app_token/_native.pyi`. Importing it starts no thread and opens no file.

#![expect(
    clippy::doc_link_with_quotes,
    clippy::doc_markdown,
    reason = "docstrings are written for Python's help()"
)]

// First, for its macros.
#[macro_use]
mod fields;

mod apart;
mod aside;
mod call;
mod client;
mod convert;
mod errors;
mod fill;
mod interpreter;
mod ks;
mod logging;
mod model;
mod once;
mod options;
#[cfg(debug_assertions)]
mod panics;
mod patience;
mod profile;
mod provider;
mod queue;
mod sandbox;
mod secret;
mod settings;
mod walk;
mod workflows;

use pyo3::prelude::*;

/// The native half of `kaltura_app_token`.
#[pymodule]
mod _native {
    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_export]
    use crate::client::Client;
    #[pymodule_export]
    use crate::ks::{
        describe_ks, dropped_privileges, lint_privileges, normalize_service_url, open_ks, sign_ks,
        token_hash,
    };
    #[pymodule_export]
    use crate::patience::tell_of_waits;
    #[pymodule_export]
    use crate::profile::ResponseProfile;
    #[pymodule_export]
    use crate::provider::{SessionProvider, TokenSource};
    #[pymodule_export]
    use crate::queue::LoopQueue;
    #[pymodule_export]
    use crate::sandbox::{Sandbox, sandbox_main};
    #[pymodule_export]
    use crate::secret::Secret;
    #[pymodule_export]
    use crate::settings::{Settings, read_configuration};
    #[pymodule_export]
    use crate::walk::{Tokens, Walk};
    #[pymodule_export]
    use crate::workflows::{
        Sink, audit, ensure, plan_revocation, resume_rotations, revoke, rotate,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::interpreter::guard(module.py())?;
        #[cfg(debug_assertions)]
        pyo3::prelude::PyAnyMethods::setattr(
            module.as_any(),
            "_Panics",
            module.py().get_type::<crate::panics::Panics>(),
        )?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
