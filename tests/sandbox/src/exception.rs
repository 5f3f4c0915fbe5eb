//! Application errors: what a caller sees as `KalturaAPIException`.
//!
//! It knows codes, messages and arguments; it does not know when they apply.

use std::borrow::Cow;

/// An error of the API: HTTP 200 with a code, a message and named arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) args: Vec<(&'static str, String)>,
}

impl Exception {
    /// Fills `@NAME@` in the template from the arguments, whose HTML tags are stripped.
    fn new(code: &'static str, template: &str, args: &[(&'static str, &str)]) -> Self {
        let args: Vec<(&'static str, String)> = args
            .iter()
            .map(|(name, value)| (*name, strip_tags(value)))
            .collect();
        let mut message = String::with_capacity(template.len());
        for (index, piece) in template.split('@').enumerate() {
            let value = args
                .iter()
                .find(|(name, _)| *name == piece)
                .map(|(_, value)| value.as_str());
            message.push_str(if index % 2 == 1 {
                value.unwrap_or_default()
            } else {
                piece
            });
        }
        Self {
            code: Cow::Borrowed(code),
            message,
            args,
        }
    }

    /// An error with any code and message, without arguments.
    pub(crate) fn custom(code: &str, message: &str) -> Self {
        Self {
            code: Cow::Owned(code.to_owned()),
            message: message.to_owned(),
            args: Vec::new(),
        }
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            "INTERNAL_SERVERL_ERROR",
            "Internal server error occurred",
            &[],
        )
    }

    pub(crate) fn service_not_specified() -> Self {
        Self::new(
            "SERVICE_NOT_SPECIFIED",
            "Service name was not specified, please specify one",
            &[],
        )
    }

    pub(crate) fn service_does_not_exist(service: &str) -> Self {
        Self::new(
            "SERVICE_DOES_NOT_EXISTS",
            "Service \"@SRV_NAME@\" does not exists",
            &[("SRV_NAME", service)],
        )
    }

    pub(crate) fn action_does_not_exist(action: &str, service: &str) -> Self {
        Self::new(
            "ACTION_DOES_NOT_EXISTS",
            "Action \"@ACTION_NAME@\" does not exists for service \"@SERVICE_NAME@\"",
            &[("ACTION_NAME", action), ("SERVICE_NAME", service)],
        )
    }

    pub(crate) fn service_forbidden(service: &str) -> Self {
        Self::new(
            "SERVICE_FORBIDDEN",
            "The access to service [@SERVICE@] is forbidden",
            &[("SERVICE", service)],
        )
    }

    pub(crate) fn partner_blocked() -> Self {
        Self::new(
            "SERVICE_FORBIDDEN_CONTENT_BLOCKED",
            "The access to this service is forbidden since the specified partner is blocked",
            &[],
        )
    }

    /// The error code is always -1; the reason, or else the KS itself, is in `KSID`.
    pub(crate) fn invalid_ks(reason: &str) -> Self {
        Self::new(
            "INVALID_KS",
            "Invalid KS \"@KSID@\", Error \"@ERR_CODE@,@ERR_DESC@\"",
            &[
                ("KSID", reason),
                ("ERR_CODE", "-1"),
                ("ERR_DESC", "INVALID_STR"),
            ],
        )
    }

    pub(crate) fn missing_parameter(name: &str) -> Self {
        Self::new(
            "MISSING_MANDATORY_PARAMETER",
            "Missing parameter \"@PARAM_NAME@\"",
            &[("PARAM_NAME", name)],
        )
    }

    pub(crate) fn invalid_enum(value: &str, name: &str, kind: &str) -> Self {
        Self::new(
            "INVALID_ENUM_VALUE",
            "Invalid enumeration value \"@ENUM_VAL@\" for parameter \"@PARAM_NAME@\", expecting enumeration type \
             \"@ENUM_TYPE@\"",
            &[
                ("ENUM_VAL", value),
                ("PARAM_NAME", name),
                ("ENUM_TYPE", kind),
            ],
        )
    }

    pub(crate) fn invalid_char(name: &str) -> Self {
        Self::new(
            "INVALID_PARAMETER_CHAR",
            "Invalid char in \"@XML_FIELD@\" field",
            &[("XML_FIELD", name)],
        )
    }

    pub(crate) fn wrong_format(name: &str) -> Self {
        Self::new(
            "PROPERTY_VALIDATION_WRONG_FORMAT",
            "The property \"@PROP_NAME@\" must match format @FORMAT@",
            &[("PROP_NAME", name), ("FORMAT", "array")],
        )
    }

    pub(crate) fn abstract_object(kind: &str) -> Self {
        Self::new(
            "OBJECT_TYPE_ABSTRACT",
            "The object type \"@OBJ_TYPE@\" is abstract, use one of the object implementations",
            &[("OBJ_TYPE", kind)],
        )
    }

    pub(crate) fn not_updatable(property: &str) -> Self {
        let property = format!("KalturaAppToken::{property}");
        Self::new(
            "PROPERTY_VALIDATION_NOT_UPDATABLE",
            "The property \"@PROP_NAME@\" cannot be updated",
            &[("PROP_NAME", &property)],
        )
    }

    pub(crate) fn invalid_field(name: &str) -> Self {
        Self::new(
            "INVALID_FIELD_VALUE",
            "value in field [@FIELD_NAME@] is not valid",
            &[("FIELD_NAME", name)],
        )
    }

    pub(crate) fn start_session(partner: &str) -> Self {
        Self::new(
            "START_SESSION_ERROR",
            "Error while starting session for partner [@PID@]",
            &[("PID", partner)],
        )
    }

    pub(crate) fn unknown_widget(widget: &str) -> Self {
        Self::new(
            "INVALID_WIDGET_ID",
            "Unknown widget [@WIDGET_ID@]",
            &[("WIDGET_ID", widget)],
        )
    }

    pub(crate) fn token_not_found(id: &str) -> Self {
        Self::new(
            "APP_TOKEN_ID_NOT_FOUND",
            "Application token id \"@ID@\" not found",
            &[("ID", id)],
        )
    }

    pub(crate) fn token_not_active(id: &str) -> Self {
        Self::new(
            "APP_TOKEN_NOT_ACTIVE",
            "Application token id \"@ID@\" not active",
            &[("ID", id)],
        )
    }

    pub(crate) fn token_expired(id: &str) -> Self {
        Self::new(
            "APP_TOKEN_EXPIRED",
            "Application token id \"@ID@\" expired",
            &[("ID", id)],
        )
    }

    pub(crate) fn token_hash() -> Self {
        Self::new(
            "INVALID_APP_TOKEN_HASH",
            "Invalid application token hash",
            &[],
        )
    }
}

/// Removes HTML tags as PHP's `strip_tags` does: a `<` before white space is text, a tag that never ends
/// takes the rest with it, and quotes inside a tag hide its end.
fn strip_tags(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(current) = chars.next() {
        if current == '\0' {
            continue;
        }
        if current != '<' || chars.peek().is_some_and(char::is_ascii_whitespace) {
            kept.push(current);
            continue;
        }
        let mut quote = None;
        let mut depth = 0;
        for inside in chars.by_ref() {
            match (inside, quote) {
                ('"' | '\'', None) => quote = Some(inside),
                (_, Some(open)) if inside == open => quote = None,
                ('<', None) => depth += 1,
                ('>', None) if depth > 0 => depth -= 1,
                ('>', None) => break,
                _ => {}
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoed_values_lose_their_tags() {
        let cases = [
            ("<x>\"'&", "\"'&"),
            ("<b>\"x\"</b>", "\"x\""),
            ("x\"<&>", "x\""),
            ("a < b", "a < b"),
            ("open <tag", "open "),
            ("<a title='>'>in", "in"),
        ];
        for (input, expected) in cases {
            assert_eq!(strip_tags(input), expected, "{input:?}");
        }
    }
}
