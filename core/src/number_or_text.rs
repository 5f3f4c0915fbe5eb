//! A value that some write as a number and some as a text: the server's answers, configurations,
//! journals. What it means is not known here.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// A whole number or a text, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NumberOrText {
    Number(i64),
    Text(String),
}

impl NumberOrText {
    /// What is written, the blanks around a text left out.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.trim().to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for NumberOrText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = NumberOrText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a text")
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(NumberOrText::Number(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                // What is too large for a number of ours may still be an id.
                Ok(i64::try_from(value).map_or_else(
                    |_| NumberOrText::Text(value.to_string()),
                    NumberOrText::Number,
                ))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(NumberOrText::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(NumberOrText::Text(text))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A whole number, also one in a text; an empty text is null.
pub(crate) fn optional_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    match Option::<NumberOrText>::deserialize(deserializer)? {
        None => Ok(None),
        Some(NumberOrText::Number(number)) => Ok(Some(number)),
        Some(NumberOrText::Text(text)) => match text.trim() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(D::Error::custom),
        },
    }
}

/// A text as it stands, also one that is a number.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Option::<NumberOrText>::deserialize(deserializer).map(|value| {
        value.map(|value| match value {
            NumberOrText::Number(number) => number.to_string(),
            NumberOrText::Text(text) => text,
        })
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn number(json: &str) -> serde_json::Result<Option<i64>> {
        optional_number(&mut serde_json::Deserializer::from_str(json))
    }

    fn text(json: &str) -> serde_json::Result<Option<String>> {
        optional_text(&mut serde_json::Deserializer::from_str(json))
    }

    #[test]
    fn numbers_are_read_from_numbers_and_texts_and_nothing_else() {
        for (json, expected) in [
            ("7", Some(7)),
            ("-7", Some(-7)),
            (r#"" 7 ""#, Some(7)),
            (r#""""#, None),
            ("null", None),
        ] {
            assert_eq!(number(json).unwrap(), expected, "{json}");
        }
        for json in ["18446744073709551615", "1.5", "true", r#""seven""#, "[]"] {
            assert!(number(json).is_err(), "{json}");
        }
    }

    #[test]
    fn texts_are_read_from_texts_and_whole_numbers_as_they_stand() {
        for (json, expected) in [
            (r#"" bob ""#, Some(" bob ")),
            ("0", Some("0")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("null", None),
        ] {
            assert_eq!(text(json).unwrap().as_deref(), expected, "{json}");
        }
        for json in ["1.5", "true", "{}"] {
            assert!(text(json).is_err(), "{json}");
        }
    }
}
