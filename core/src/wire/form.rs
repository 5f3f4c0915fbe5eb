//! The form of one request, and which of its fields are credentials. Knows no action.

use std::borrow::Cow;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::model::{ProfileFields, ResponseProfile};
use crate::secret::{MASK, Scrubber, Secret};

/// The parameters of one request. Knows which of them are credentials.
#[derive(Debug)]
pub(crate) struct Form {
    fields: Vec<(Cow<'static, str>, Value)>,
    /// Credentials that are not sent, but that an answer must not bring into an error either.
    unsent: Vec<Secret>,
}

#[derive(Debug)]
enum Value {
    Plain(String),
    Credential(Secret),
}

impl Form {
    pub(crate) fn new() -> Self {
        Self {
            fields: vec![("format".into(), Value::Plain("1".into()))],
            unsent: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.fields.push((name.into(), Value::Plain(value.into())));
    }

    pub(crate) fn push_some(&mut self, name: &'static str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    pub(crate) fn push_secret(&mut self, name: &'static str, value: &Secret) {
        self.fields
            .push((name.into(), Value::Credential(value.clone())));
    }

    pub(crate) fn keep_out_of_errors(&mut self, secret: &Secret) {
        self.unsent.push(secret.clone());
    }

    pub(crate) fn push_profile(&mut self, profile: &ResponseProfile) {
        let mut field = |name: &'static str, value: String| self.push(name, value);
        let (object_type, fields) = match profile {
            ResponseProfile::Detached(fields) => ("KalturaDetachedResponseProfile", Some(fields)),
            ResponseProfile::Full {
                name,
                system_name,
                fields,
            } => {
                field("responseProfile[name]", name.clone());
                field("responseProfile[systemName]", system_name.clone());
                ("KalturaResponseProfile", Some(fields))
            }
            ResponseProfile::HolderId(id) => {
                field("responseProfile[id]", id.to_string());
                ("KalturaResponseProfileHolder", None)
            }
            ResponseProfile::HolderSystemName(name) => {
                field("responseProfile[systemName]", name.clone());
                ("KalturaResponseProfileHolder", None)
            }
        };
        field("responseProfile[objectType]", object_type.into());
        if let Some(fields) = fields {
            let (kind, names) = match fields {
                ProfileFields::Include(names) => ("1", names),
                ProfileFields::Exclude(names) => ("2", names),
            };
            field("responseProfile[type]", kind.into());
            field("responseProfile[fields]", names.join(","));
        }
    }

    /// The body to send. Its memory is overwritten when the last copy is dropped.
    pub(crate) fn encode(&self) -> Bytes {
        let worst_case: usize = self
            .fields
            .iter()
            .map(|(name, value)| 3 * (name.len() + value.text().len()) + 2)
            .sum();
        let mut body = Zeroizing::new(Vec::with_capacity(worst_case));
        for (name, value) in &self.fields {
            if !body.is_empty() {
                body.push(b'&');
            }
            for part in form_urlencoded::byte_serialize(name.as_bytes()) {
                body.extend_from_slice(part.as_bytes());
            }
            body.push(b'=');
            for part in form_urlencoded::byte_serialize(value.text().as_bytes()) {
                body.extend_from_slice(part.as_bytes());
            }
        }
        Bytes::from_owner(Wiped(body))
    }

    /// A copy of a form that carries no credential yet.
    pub(crate) fn clone_plain(&self) -> Self {
        let plain = self.fields.iter().filter_map(|(name, value)| match value {
            Value::Plain(text) => Some((name.clone(), Value::Plain(text.clone()))),
            Value::Credential(_) => None,
        });
        Self {
            fields: plain.collect(),
            unsent: Vec::new(),
        }
    }

    /// The parameters for people, credentials masked.
    pub(crate) fn redacted(&self) -> Vec<(String, String)> {
        self.fields
            .iter()
            .map(|(name, value)| {
                let shown = match value {
                    Value::Plain(text) => text.clone(),
                    Value::Credential(_) => MASK.to_owned(),
                };
                (name.to_string(), shown)
            })
            .collect()
    }

    /// Takes what this request carried, and what it was made from, out of texts that answer it.
    pub(crate) fn scrubber(&self) -> Scrubber {
        let sent = self.fields.iter().filter_map(|(_, value)| match value {
            Value::Credential(secret) => Some(secret.reveal()),
            Value::Plain(_) => None,
        });
        Scrubber::new(sent.chain(self.unsent.iter().map(Secret::reveal)))
    }
}

impl Value {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Credential(secret) => secret.reveal(),
        }
    }
}

/// `Bytes` wants an owner that is `AsRef<[u8]>`, which `Zeroizing<Vec<u8>>` is only through `Deref`.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
