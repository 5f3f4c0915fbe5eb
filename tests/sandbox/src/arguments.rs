//! From parameters to the arguments of an action: the server's casts, its checks and their order.
//!
//! It knows types, not actions: what is mandatory and what is an enumeration is the caller's to say.

use std::borrow::Cow;

use crate::answer::Value;
use crate::exception::Exception;
use crate::params::{Param, Params, leading_number, number};

/// Times no further from zero than this are relative to now: ten years.
const MAX_RELATIVE_TIME: i64 = 315_360_000;

/// An enumeration of the API.
#[derive(Debug)]
pub(crate) struct Enumeration {
    pub(crate) name: &'static str,
    pub(crate) values: &'static [i64],
}

/// An enumeration of texts.
#[derive(Debug)]
pub(crate) struct TextEnumeration {
    pub(crate) name: &'static str,
    pub(crate) values: &'static [&'static str],
}

pub(crate) static SESSION_TYPE: Enumeration = Enumeration {
    name: "KalturaSessionType",
    values: &[0, 2],
};

/// The parameters of one call.
#[derive(Debug)]
pub(crate) struct Arguments<'a> {
    params: Cow<'a, Params>,
    now: i64,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(params: &'a Params, now: i64) -> Self {
        Self {
            params: params.grouped(),
            now,
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// A text; `None` when it was not sent. Bytes that are not UTF-8 count as empty.
    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, Exception> {
        let Some(param) = self.params.get(name) else {
            return Ok(None);
        };
        match string(param, name)? {
            Value::Text(text) => Ok(Some(text)),
            _ => Ok(Some(String::new())),
        }
    }

    pub(crate) fn required_string(&self, name: &str) -> Result<String, Exception> {
        self.string(name)?
            .ok_or_else(|| Exception::missing_parameter(name))
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.params.get(name).map(Param::to_int)
    }

    pub(crate) fn enumeration(
        &self,
        name: &str,
        kind: &Enumeration,
    ) -> Result<Option<i64>, Exception> {
        self.params
            .get(name)
            .map(|param| enumeration(param, name, kind))
            .transpose()
    }

    /// An object; a scalar in its place is an error, absence is not.
    pub(crate) fn object(&self, name: &str) -> Result<Option<&Params>, Exception> {
        match self.params.get(name) {
            None | Some(Param::Null) => Ok(None),
            Some(Param::Map(map)) => Ok(Some(map)),
            Some(_) => Err(Exception::wrong_format(name)),
        }
    }

    pub(crate) fn required_object(&self, name: &str) -> Result<&Params, Exception> {
        self.object(name)?
            .ok_or_else(|| Exception::missing_parameter(name))
    }
}

/// A text property: control characters are refused, and invalid UTF-8 becomes false
/// (transcript `appToken.add/description_invalid_utf8`).
pub(crate) fn string(param: &Param, name: &str) -> Result<Value, Exception> {
    if matches!(param, Param::Bytes(_)) {
        return Ok(Value::Bool(false));
    }
    let text = param.to_text();
    if text
        .bytes()
        .any(|byte| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r'))
    {
        return Err(Exception::invalid_char(name));
    }
    Ok(Value::Text(text.into_owned()))
}

/// A member of an enumeration, compared loosely; `true` and `false` stand for 1 and 0.
pub(crate) fn enumeration(param: &Param, name: &str, kind: &Enumeration) -> Result<i64, Exception> {
    let param = match param {
        Param::Text(text) if text.eq_ignore_ascii_case("true") => &Param::Int(1),
        Param::Text(text) if text.eq_ignore_ascii_case("false") => &Param::Int(0),
        Param::Map(_) => return Err(Exception::internal()),
        other => other,
    };
    if kind.values.iter().any(|value| param.equals_int(*value)) {
        return Ok(param.to_int());
    }
    Err(Exception::invalid_enum(&param.to_text(), name, kind.name))
}

/// A member of an enumeration of texts, case and all.
pub(crate) fn text_enumeration(
    param: &Param,
    name: &str,
    kind: &TextEnumeration,
) -> Result<String, Exception> {
    let text = param.to_text();
    if kind.values.contains(&text.as_ref()) {
        return Ok(text.into_owned());
    }
    Err(Exception::invalid_enum(&text, name, kind.name))
}

/// A time: an instant, or seconds from now when it is small. -1 is itself, and text that is no number is 0
/// (transcripts `appToken.add/expiry_minus_1` and `expiry_empty`).
pub(crate) fn time(param: &Param, now: i64) -> i64 {
    let value = match param {
        Param::Text(text) => match number(text) {
            Some(number) => number.whole(),
            // Text that only starts with a number is compared as text, and added to the time if it passes.
            None if in_relative_range(text) => {
                return leading_number(text).map_or(0, |found| now.saturating_add(found.whole()));
            }
            None => return leading_number(text).map_or(0, super::params::Number::whole),
        },
        Param::Null => return 0,
        other => other.to_int(),
    };
    if value != -1 && (-MAX_RELATIVE_TIME..=MAX_RELATIVE_TIME).contains(&value) {
        now + value
    } else {
        value
    }
}

fn in_relative_range(text: &str) -> bool {
    let (low, high) = (
        (-MAX_RELATIVE_TIME).to_string(),
        MAX_RELATIVE_TIME.to_string(),
    );
    low.as_str() <= text && text <= high.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_times_are_relative_to_now() {
        let cases = [
            ("0", 1000),
            ("60", 1060),
            ("-60", 940),
            ("-1", -1),
            ("", 0),
            ("abc", 0),
            ("315360000", 315_361_000),
            ("315360001", 315_360_001),
        ];
        for (input, expected) in cases {
            assert_eq!(
                time(&Param::Text(input.to_owned()), 1000),
                expected,
                "{input:?}"
            );
        }
    }

    #[test]
    fn enumerations_are_compared_loosely() {
        let parse = |text: &str| enumeration(&Param::Text(text.to_owned()), "type", &SESSION_TYPE);
        assert_eq!(parse("2"), Ok(2));
        assert_eq!(parse("02"), Ok(2));
        assert_eq!(parse("false"), Ok(0));
        assert_eq!(parse("true").unwrap_err().args[0].1, "1");
        assert!(parse("").is_err());
        assert!(parse("ADMIN").is_err());
    }
}
