//! What an action answers, and how it is written: JSON, XML, PHP's `serialize`.
//!
//! It knows the three notations and nothing about services.

use std::fmt::Write as _;

use crate::exception::Exception;

/// A value in an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Value>),
    Object(Object),
    Failure(Exception),
}

/// An object of the API: a class and its properties in the order that the server declares them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) class: &'static str,
    pub(crate) fields: Vec<(&'static str, Value)>,
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn object(class: &'static str, fields: Vec<(&'static str, Value)>) -> Self {
        Self::Object(Object { class, fields })
    }

    /// The value at the end of a path of property names and list positions.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Value> {
        match (path.split_first(), self) {
            (None | Some((&"", _)), Value::Object(_) | Value::Failure(_)) => None,
            (None | Some((&"", _)), value) => Some(value),
            (Some((name, rest)), Value::Object(object)) => object
                .fields
                .iter()
                .find(|(field, _)| field == name)
                .and_then(|(_, value)| value.at(rest)),
            (Some((index, rest)), Value::List(items)) => {
                items.get(index.parse::<usize>().ok()?)?.at(rest)
            }
            _ => None,
        }
    }

    /// About how many bytes of text it holds.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) => 0,
            Self::Text(text) => text.len(),
            Self::List(items) => items.iter().map(Self::size).sum(),
            Self::Object(object) => object.fields.iter().map(|(_, value)| value.size()).sum(),
            Self::Failure(exception) => {
                let args = exception.args.iter().map(|(_, value)| value.len());
                exception.message.len() + args.sum::<usize>()
            }
        }
    }

    /// As PHP's `json_encode` writes it, null properties left out.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::with_capacity(256);
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Int(number) => {
                let _ = write!(out, "{number}");
            }
            Self::Text(text) => json_string(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Object(object) => {
                out.push('{');
                for (name, value) in object
                    .fields
                    .iter()
                    .filter(|(_, value)| *value != Value::Null)
                {
                    json_string(name, out);
                    out.push(':');
                    value.write_json(out);
                    out.push(',');
                }
                out.push_str("\"objectType\":");
                json_string(object.class, out);
                out.push('}');
            }
            Self::Failure(exception) => {
                out.push_str("{\"code\":");
                json_string(&exception.code, out);
                out.push_str(",\"message\":");
                json_string(&exception.message, out);
                out.push_str(",\"objectType\":\"KalturaAPIException\",\"args\":");
                if exception.args.is_empty() {
                    out.push_str("[]}");
                    return;
                }
                for (index, (name, value)) in exception.args.iter().enumerate() {
                    out.push(if index == 0 { '{' } else { ',' });
                    json_string(name, out);
                    out.push(':');
                    json_string(value, out);
                }
                out.push_str("}}");
            }
        }
    }

    /// The inside of an XML `<result>`.
    pub(crate) fn to_xml(&self) -> String {
        let mut out = String::with_capacity(512);
        self.write_xml(&mut out);
        out
    }

    fn write_xml(&self, out: &mut String) {
        match self {
            Self::Null => {}
            Self::Bool(flag) => out.push(if *flag { '1' } else { '0' }),
            Self::Int(number) => {
                let _ = write!(out, "{number}");
            }
            Self::Text(text) => xml_text(text, out),
            Self::List(items) => {
                for item in items {
                    out.push_str("<item>");
                    item.write_xml(out);
                    out.push_str("</item>");
                }
            }
            Self::Object(object) => {
                let _ = write!(
                    out,
                    "<objectType>{}</objectType><relatedObjects></relatedObjects>",
                    object.class
                );
                for (name, value) in &object.fields {
                    let _ = write!(out, "<{name}>");
                    value.write_xml(out);
                    let _ = write!(out, "</{name}>");
                }
            }
            Self::Failure(exception) => {
                out.push_str("<error><code>");
                xml_text(&exception.code, out);
                out.push_str("</code><message>");
                xml_text(&exception.message, out);
                out.push_str("</message><objectType>KalturaAPIException</objectType><args>");
                for (name, value) in &exception.args {
                    out.push_str("<item><objectType>KalturaApiExceptionArg</objectType>");
                    let _ = write!(out, "<name>{name}</name><value>");
                    xml_text(value, out);
                    out.push_str("</value></item>");
                }
                out.push_str("</args></error>");
            }
        }
    }

    /// As PHP's `serialize` writes it.
    pub(crate) fn to_php(&self) -> String {
        let mut out = String::with_capacity(512);
        self.write_php(&mut out);
        out
    }

    fn write_php(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("N;"),
            Self::Bool(flag) => {
                let _ = write!(out, "b:{};", u8::from(*flag));
            }
            Self::Int(number) => {
                let _ = write!(out, "i:{number};");
            }
            Self::Text(text) => php_string(text, out),
            Self::List(items) => {
                let _ = write!(out, "a:{}:{{", items.len());
                for (index, item) in items.iter().enumerate() {
                    let _ = write!(out, "i:{index};");
                    item.write_php(out);
                }
                out.push('}');
            }
            Self::Object(object) => {
                let (class, count) = (object.class, object.fields.len() + 1);
                let _ = write!(
                    out,
                    "O:{}:\"{class}\":{count}:{{s:14:\"relatedObjects\";N;",
                    class.len()
                );
                for (name, value) in &object.fields {
                    php_string(name, out);
                    value.write_php(out);
                }
                out.push('}');
            }
            Self::Failure(exception) => {
                out.push_str("a:4:{s:4:\"code\";");
                php_string(&exception.code, out);
                out.push_str("s:7:\"message\";");
                php_string(&exception.message, out);
                out.push_str("s:10:\"objectType\";s:19:\"KalturaAPIException\";s:4:\"args\";");
                let _ = write!(out, "a:{}:{{", exception.args.len());
                for (name, value) in &exception.args {
                    php_string(name, out);
                    php_string(value, out);
                }
                out.push_str("}}");
            }
        }
    }
}

/// JSON text with everything beyond ASCII escaped, and `/` too.
fn json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='\u{7f}' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

fn xml_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            _ => out.push(c),
        }
    }
}

fn php_string(text: &str, out: &mut String) {
    let _ = write!(out, "s:{}:\"{text}\";", text.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_in_three_notations() {
        let value = Value::object(
            "KalturaThing",
            vec![
                ("id", Value::text("a/☃")),
                ("gone", Value::Null),
                ("list", Value::List(vec![Value::Int(1)])),
            ],
        );
        assert_eq!(
            value.to_json(),
            r#"{"id":"a\/\u2603","list":[1],"objectType":"KalturaThing"}"#
        );
        assert_eq!(
            value.to_xml(),
            "<objectType>KalturaThing</objectType><relatedObjects></relatedObjects><id>a/☃</id><gone></gone>\
             <list><item>1</item></list>"
        );
        assert_eq!(
            value.to_php(),
            "O:12:\"KalturaThing\":4:{s:14:\"relatedObjects\";N;s:2:\"id\";s:5:\"a/☃\";s:4:\"gone\";N;\
             s:4:\"list\";a:1:{i:0;i:1;}}"
        );
        assert_eq!(value.at(&["list", "0"]), Some(&Value::Int(1)));
        assert_eq!(value.at(&["none"]), None);
    }
}
