//! `ResponseProfile`: which fields an answer is to carry.

use kaltura_app_token as core;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::convert::{Argument, Given, config_error, given};

/// Which fields an answer is to carry.
#[pyclass(frozen, eq, module = "kaltura_app_token")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ResponseProfile(core::ResponseProfile);

impl Argument for core::ResponseProfile {
    fn read(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        value
            .cast::<ResponseProfile>()
            .map(|profile| profile.get().0.clone())
            .map_err(|_| crate::convert::wrong_type(name, "a ResponseProfile", value))
    }
}

/// Either of two lists of fields.
fn either(
    py: Python<'_>,
    include: Given<'_, '_>,
    exclude: Given<'_, '_>,
) -> PyResult<core::ProfileFields> {
    match (given("include", include)?, given("exclude", exclude)?) {
        (Some(fields), None) => Ok(core::ProfileFields::Include(fields)),
        (None, Some(fields)) => Ok(core::ProfileFields::Exclude(fields)),
        _ => Err(config_error(py, "give either include or exclude")),
    }
}

#[pymethods]
impl ResponseProfile {
    /// Only these fields, by the API's names.
    #[staticmethod]
    #[pyo3(signature = (*fields))]
    fn include(fields: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let fields = core::ProfileFields::Include(Vec::read("fields", fields)?);
        Ok(Self(core::ResponseProfile::Detached(fields)))
    }

    /// All but these fields, by the API's names.
    #[staticmethod]
    #[pyo3(signature = (*fields))]
    fn exclude(fields: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let fields = core::ProfileFields::Exclude(Vec::read("fields", fields)?);
        Ok(Self(core::ResponseProfile::Detached(fields)))
    }

    /// A profile stored on the server, by its id or its system name.
    #[staticmethod]
    #[pyo3(signature = (*, id=None, system_name=None))]
    fn stored(py: Python<'_>, id: Given<'_, '_>, system_name: Given<'_, '_>) -> PyResult<Self> {
        match (given("id", id)?, given("system_name", system_name)?) {
            (Some(id), None) => Ok(Self(core::ResponseProfile::HolderId(id))),
            (None, Some(name)) => Ok(Self(core::ResponseProfile::HolderSystemName(name))),
            _ => Err(config_error(py, "give either id or system_name")),
        }
    }

    /// A named profile given with the request.
    #[staticmethod]
    #[pyo3(signature = (name, system_name, *, include=None, exclude=None))]
    fn full(
        name: &Bound<'_, PyAny>,
        system_name: &Bound<'_, PyAny>,
        include: Given<'_, '_>,
        exclude: Given<'_, '_>,
    ) -> PyResult<Self> {
        Ok(Self(core::ResponseProfile::Full {
            name: String::read("name", name)?,
            system_name: String::read("system_name", system_name)?,
            fields: either(name.py(), include, exclude)?,
        }))
    }

    fn __copy__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __deepcopy__(this: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        this
    }

    /// As it is made.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let text = |text: &str| PyString::new(py, text).repr().map(|text| text.to_string());
        let list = |fields: &[String]| -> PyResult<String> {
            let fields: PyResult<Vec<_>> = fields.iter().map(|field| text(field)).collect();
            Ok(fields?.join(", "))
        };
        let made = match &self.0 {
            core::ResponseProfile::Detached(core::ProfileFields::Include(fields)) => {
                format!("include({})", list(fields)?)
            }
            core::ResponseProfile::Detached(core::ProfileFields::Exclude(fields)) => {
                format!("exclude({})", list(fields)?)
            }
            core::ResponseProfile::HolderId(id) => format!("stored(id={id})"),
            core::ResponseProfile::HolderSystemName(name) => {
                format!("stored(system_name={})", text(name)?)
            }
            core::ResponseProfile::Full {
                name,
                system_name,
                fields,
            } => {
                let (how, fields) = match fields {
                    core::ProfileFields::Include(fields) => ("include", fields),
                    core::ProfileFields::Exclude(fields) => ("exclude", fields),
                };
                let (name, system_name) = (text(name)?, text(system_name)?);
                format!("full({name}, {system_name}, {how}=[{}])", list(fields)?)
            }
            _ => "...".to_owned(),
        };
        Ok(format!("ResponseProfile.{made}"))
    }
}
