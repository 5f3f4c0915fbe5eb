//! The parameters of a request, read the way PHP reads them: ordered, nested, and with the query winning
//! over the body and the path over both. Also PHP's coercions of a parameter to a string or a number.
//!
//! It knows bytes, forms and JSON; it does not know what any parameter means.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::ordered::Ordered;

/// How deep the name of a form field may nest: PHP's `max_input_nesting_level`.
const MAX_DEPTH: usize = 64;
/// How many fields of a form are read: PHP's `max_input_vars`.
const MAX_FORM_FIELDS: usize = 1_000;
/// How many values JSON may hold and `a:b` names may make: PHP stops at the memory that they take.
const MAX_VALUES: usize = 150_000;
/// Longer than any client's; looking for one takes time that grows with its length.
const MAX_BOUNDARY: usize = 256;

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Param {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Bytes that are not UTF-8.
    Bytes(Vec<u8>),
    Map(Params),
}

/// An ordered map of parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Params {
    entries: Ordered<String, Param>,
    /// The highest name that is a number.
    last: Option<i64>,
}

impl Params {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Param)> {
        let entries = self.entries.iter();
        entries.map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Param)> {
        let entries = self.entries.iter_mut();
        entries.map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Param> {
        self.entries.get(name)
    }

    /// PHP's `isset`: there, and not null.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| *value != Param::Null)
    }

    /// The parameter as text, when it is there and not null.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name)
            .filter(|value| **value != Param::Null)
            .map(Param::to_text)
    }

    /// The place of a parameter, null if it was not there.
    fn place(&mut self, name: &str) -> &mut Param {
        if let Ok(number) = name.parse() {
            self.last = self.last.max(Some(number));
        }
        self.entries.entry(name.to_owned(), || Param::Null)
    }

    pub(crate) fn set(&mut self, name: &str, value: Param) {
        *self.place(name) = value;
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.entries.remove(name);
    }

    /// The map under `name`, which replaces whatever scalar was there.
    fn map_at(&mut self, name: &str) -> &mut Params {
        let place = self.place(name);
        if !matches!(place, Param::Map(_)) {
            *place = Param::Map(Params::default());
        }
        match place {
            Param::Map(map) => map,
            _ => unreachable!("a map was put here just now"),
        }
    }

    /// Sets what is at the end of a path of names below `base`.
    fn set_path(&mut self, base: &str, path: &[&str], value: Param) {
        let mut target = self;
        let mut last = Cow::Borrowed(base);
        for name in path {
            target = target.map_at(&last);
            let Some(name) = target.resolve(name) else {
                return;
            };
            last = name;
        }
        target.set(&last, value);
    }

    /// An empty key (`a[]`) means the next free number, which is none after the highest there can be.
    fn resolve<'a>(&self, name: &'a str) -> Option<Cow<'a, str>> {
        if !name.is_empty() {
            return Some(Cow::Borrowed(name));
        }
        let next = self.last.map_or(Some(0), |last| last.checked_add(1))?;
        Some(Cow::Owned(next.to_string()))
    }

    /// Takes over the other's values, going into maps that both have.
    pub(crate) fn merge(&mut self, other: Params) {
        for (name, value) in other.entries.into_entries() {
            match (self.place(&name), value) {
                (Param::Map(own), Param::Map(map)) => own.merge(map),
                (place, value) => *place = value,
            }
        }
    }

    /// The same parameters with `a:b` names turned into maps, those that are too deep left out.
    pub(crate) fn grouped(&self) -> Cow<'_, Params> {
        if !self.iter().any(|(name, _)| name.contains(':')) {
            return Cow::Borrowed(self);
        }
        let mut grouped = Params::default();
        let mut room = MAX_VALUES;
        for (name, value) in self.iter() {
            let (base, rest) = name
                .split_once(':')
                .map_or((name, None), |(base, rest)| (base, Some(rest)));
            let Some(path) = path(rest.into_iter().flat_map(|rest| rest.split(':'))) else {
                continue;
            };
            let Some(left) = room.checked_sub(path.len()) else {
                break;
            };
            room = left;
            if let Some(base) = grouped.resolve(base) {
                grouped.set_path(&base, &path, value.clone());
            }
        }
        Cow::Owned(grouped)
    }

    /// Parses `a=1&b[c]=2` as PHP does.
    pub(crate) fn from_query(query: &[u8]) -> Self {
        let mut params = Self::default();
        for pair in query
            .split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty())
            .take(MAX_FORM_FIELDS)
        {
            let cut = pair
                .iter()
                .position(|byte| *byte == b'=')
                .unwrap_or(pair.len());
            let name = decode(&pair[..cut], true);
            let value = decode(pair.get(cut + 1..).unwrap_or_default(), true);
            params.set_form(&String::from_utf8_lossy(&name), Param::from_bytes(value));
        }
        params
    }

    /// Sets one form field, whose name may be nested and is cleaned up as PHP does.
    pub(crate) fn set_form(&mut self, name: &str, value: Param) {
        let name = name.trim_start_matches(' ');
        let name = name.split('\0').next().unwrap_or_default();
        let (base, mut rest) = match name.find('[') {
            Some(at) if at > 0 && name[at..].contains(']') => name.split_at(at),
            _ => (name, ""),
        };
        let clean = |text: &str| text.replace(['.', ' ', '['], "_");
        if base.is_empty() || base.starts_with('[') {
            return;
        }
        let base = clean(base);
        let names = std::iter::from_fn(|| {
            let (name, after) = rest.strip_prefix('[')?.split_once(']')?;
            rest = after;
            Some(name)
        });
        match path(names) {
            Some(path) => self.set_path(&base, &path, value),
            // With it goes what was there under the same first name.
            None => self.remove(&base),
        }
    }

    /// Parses a JSON object; anything else is no parameters at all, and so is one that is nested deeper than
    /// the parser goes or holds too many values.
    pub(crate) fn from_json(body: &[u8]) -> Option<Self> {
        let room = Cell::new(MAX_VALUES);
        let mut parser = serde_json::Deserializer::from_slice(body);
        let value = JsonValue(&room).deserialize(&mut parser).ok()?;
        parser.end().ok()?;
        match value {
            Param::Map(map) if body.trim_ascii_start().starts_with(b"{") => Some(map),
            _ => None,
        }
    }

    /// Parses a multipart body; a part called `json` that holds an object stands for the whole form.
    pub(crate) fn from_multipart(body: &[u8], content_type: &str) -> Self {
        let mut params = Self::default();
        let Some(boundary) = boundary(content_type) else {
            return params;
        };
        let delimiter = [b"--", boundary.as_bytes()].concat();
        let mut fields = 0;
        for part in split(body, &delimiter).skip(1) {
            if part.starts_with(b"--") {
                break;
            }
            let part = part
                .strip_prefix(b"\r\n")
                .or_else(|| part.strip_prefix(b"\n"))
                .unwrap_or(part);
            let Some((head, content)) =
                split_once(part, b"\r\n\r\n").or_else(|| split_once(part, b"\n\n"))
            else {
                continue;
            };
            let content = content
                .strip_suffix(b"\r\n")
                .or_else(|| content.strip_suffix(b"\n"))
                .unwrap_or(content);
            let head = String::from_utf8_lossy(head);
            let Some(name) = attribute(&head, "name") else {
                continue;
            };
            if attribute(&head, "filename").is_none() {
                fields += 1;
                if fields > MAX_FORM_FIELDS {
                    break;
                }
                params.set_form(&name, Param::from_bytes(content.to_vec()));
            }
        }
        let json = params
            .text("json")
            .and_then(|text| Self::from_json(text.as_bytes()));
        json.unwrap_or(params)
    }

    /// The pairs of a path, `/service/x/action/y`, after the segments that only name the script.
    pub(crate) fn from_path(path: &str) -> Self {
        let mut params = Self::default();
        let mut segments = path
            .split('/')
            .map(|segment| String::from_utf8_lossy(&decode(segment.as_bytes(), false)).into_owned())
            .filter(|segment| !segment.is_empty() && segment != "api_v3" && segment != "index.php");
        while let Some(name) = segments.next() {
            let value = segments.next().map_or(Param::Bool(false), Param::Text);
            params.set(&name, value);
        }
        params
    }
}

impl Param {
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Text)
    }

    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        const OWN: usize = 100;
        OWN + match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Map(map) => map
                .iter()
                .map(|(name, value)| name.len() + value.size())
                .sum(),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => 0,
        }
    }

    /// PHP's cast to string.
    pub(crate) fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Null | Self::Bool(false) => Cow::Borrowed(""),
            Self::Bool(true) => Cow::Borrowed("1"),
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Float(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes),
            Self::Map(_) => Cow::Borrowed("Array"),
        }
    }

    /// PHP's cast to integer.
    #[allow(clippy::cast_possible_truncation, reason = "PHP truncates here too")]
    pub(crate) fn to_int(&self) -> i64 {
        match self {
            Self::Null => 0,
            Self::Bool(flag) => i64::from(*flag),
            Self::Int(number) => *number,
            Self::Float(number) => *number as i64,
            Self::Text(text) => leading_number(text).map_or(0, Number::whole),
            Self::Bytes(bytes) => {
                leading_number(&String::from_utf8_lossy(bytes)).map_or(0, Number::whole)
            }
            Self::Map(map) => i64::from(map.len() > 0),
        }
    }

    /// PHP's truth: not null, false, 0, "", "0" or an empty array.
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(flag) => *flag,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty() && text != "0",
            Self::Bytes(_) => true,
            Self::Map(map) => map.len() > 0,
        }
    }

    /// PHP's loose `==` with an integer.
    pub(crate) fn equals_int(&self, other: i64) -> bool {
        match self {
            Self::Null => other == 0,
            Self::Bool(flag) => *flag == (other != 0),
            Self::Int(number) => *number == other,
            #[allow(clippy::cast_precision_loss, reason = "PHP compares as floats")]
            Self::Float(number) => (*number - other as f64).abs() < f64::EPSILON,
            Self::Text(text) => number(text).is_some_and(|number| number.equals(other)),
            Self::Bytes(_) | Self::Map(_) => false,
        }
    }
}

/// A number as PHP reads it from text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    #[allow(clippy::cast_possible_truncation, reason = "PHP truncates here too")]
    pub(crate) fn whole(self) -> i64 {
        match self {
            Self::Int(number) => number,
            Self::Float(number) => number as i64,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "PHP compares as floats")]
    fn equals(self, other: i64) -> bool {
        match self {
            Self::Int(number) => number == other,
            Self::Float(number) => (number - other as f64).abs() < f64::EPSILON,
        }
    }
}

/// The number that text starts with, after white space.
pub(crate) fn leading_number(text: &str) -> Option<Number> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let sign = usize::from(text.starts_with(['+', '-']));
    let whole = digits(&text[sign..]);
    let mut end = sign + whole;
    let mut is_float = false;
    if text[end..].starts_with('.') {
        let fraction = digits(&text[end + 1..]);
        if whole + fraction > 0 {
            is_float = true;
            end += 1 + fraction;
        }
    }
    if whole == 0 && !is_float {
        return None;
    }
    if text[end..].starts_with(['e', 'E']) {
        let exponent_sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        let exponent = digits(&text[end + 1 + exponent_sign..]);
        if exponent > 0 {
            is_float = true;
            end += 1 + exponent_sign + exponent;
        }
    }
    let number = &text[..end];
    if !is_float && let Ok(number) = number.parse() {
        return Some(Number::Int(number));
    }
    number.parse().ok().map(Number::Float)
}

/// The number that the whole text is, white space around it apart.
pub(crate) fn number(text: &str) -> Option<Number> {
    let trimmed = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let found = leading_number(trimmed)?;
    // Only digits, signs, a dot and an exponent are left when nothing trails the number.
    let is_whole =
        trimmed.parse::<f64>().is_ok() && !trimmed.ends_with(|c: char| c.is_alphabetic());
    is_whole.then_some(found)
}

/// Percent-decodes, with `+` as a space where the text comes from a form.
pub(crate) fn decode(text: &[u8], plus_is_space: bool) -> Vec<u8> {
    let hex = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut decoded = Vec::with_capacity(text.len());
    let mut index = 0;
    while let Some(&byte) = text.get(index) {
        let pair = text
            .get(index + 1)
            .copied()
            .and_then(hex)
            .zip(text.get(index + 2).copied().and_then(hex));
        match (byte, pair) {
            (b'%', Some((high, low))) => {
                decoded.push(high << 4 | low);
                index += 2;
            }
            (b'+', _) if plus_is_space => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        index += 1;
    }
    decoded
}

/// The names that a nested name consists of after its first, unless they are too many.
fn path<'a>(names: impl Iterator<Item = &'a str>) -> Option<Vec<&'a str>> {
    let path: Vec<&str> = names.take(MAX_DEPTH + 1).collect();
    (path.len() <= MAX_DEPTH).then_some(path)
}

fn boundary(content_type: &str) -> Option<String> {
    let at = content_type.to_ascii_lowercase().find("boundary=")?;
    let text = &content_type[at + "boundary=".len()..];
    let text = text.split([';', ',']).next().unwrap_or_default().trim();
    Some(text.trim_matches('"').to_owned()).filter(|text| (1..=MAX_BOUNDARY).contains(&text.len()))
}

/// The value of `name="…"` in the head of a part.
fn attribute(head: &str, name: &str) -> Option<String> {
    let disposition = head.lines().find(|line| {
        line.to_ascii_lowercase()
            .starts_with("content-disposition:")
    })?;
    disposition.split(';').skip(1).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim().eq_ignore_ascii_case(name)).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn split<'a>(body: &'a [u8], delimiter: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let current = rest?;
        if let Some((before, after)) = split_once(current, delimiter) {
            rest = Some(after);
            return Some(before);
        }
        rest = None;
        Some(current)
    })
}

fn split_once<'a>(body: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = body
        .windows(delimiter.len())
        .position(|window| window == delimiter)?;
    Some((&body[..at], &body[at + delimiter.len()..]))
}

/// Reads a value of JSON as long as there is room for one more.
#[derive(Clone, Copy)]
struct JsonValue<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for JsonValue<'_> {
    type Value = Param;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Param, D::Error> {
        let room = self.0.get().checked_sub(1);
        self.0
            .set(room.ok_or_else(|| D::Error::custom("too many values"))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonValue<'_> {
    type Value = Param;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Param, E> {
        Ok(Param::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Param, E> {
        Ok(Param::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Param, E> {
        Ok(Param::Int(value))
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "PHP turns large integers into floats"
    )]
    fn visit_u64<E>(self, value: u64) -> Result<Param, E> {
        Ok(i64::try_from(value).map_or(Param::Float(value as f64), Param::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Param, E> {
        Ok(Param::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Param, E> {
        Ok(Param::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Param, E> {
        Ok(Param::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Param, A::Error> {
        let mut map = Params::default();
        while let Some(item) = items.next_element_seed(self)? {
            let index = map.len().to_string();
            map.set(&index, item);
        }
        Ok(Param::Map(map))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Param, A::Error> {
        let mut map = Params::default();
        while let Some(name) = entries.next_key::<String>()? {
            map.set(&name, entries.next_value_seed(self)?);
        }
        Ok(Param::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(params: &Params, path: &[&str]) -> Option<String> {
        let (last, parents) = path.split_last().unwrap();
        let mut current = params;
        for name in parents {
            match current.get(name) {
                Some(Param::Map(map)) => current = map,
                _ => return None,
            }
        }
        current.text(last).map(Cow::into_owned)
    }

    #[test]
    fn forms_nest_by_brackets_and_colons() {
        let params =
            Params::from_query(b"a[b][c]=1&a%5Bd%5D=x+y&list[]=p&list[]=q&e:f=2&g.h=3&flag");
        assert_eq!(text(&params, &["a", "b", "c"]).as_deref(), Some("1"));
        assert_eq!(text(&params, &["a", "d"]).as_deref(), Some("x y"));
        assert_eq!(text(&params, &["list", "1"]).as_deref(), Some("q"));
        assert_eq!(text(&params.grouped(), &["e", "f"]).as_deref(), Some("2"));
        assert_eq!(text(&params, &["g_h"]).as_deref(), Some("3"));
        assert_eq!(text(&params, &["flag"]).as_deref(), Some(""));
    }

    #[test]
    fn a_later_source_wins_field_by_field() {
        let mut params = Params::from_query(b"a[x]=1&a[y]=2&b=1");
        params.merge(Params::from_query(b"a[y]=3"));
        assert_eq!(text(&params, &["a", "x"]).as_deref(), Some("1"));
        assert_eq!(text(&params, &["a", "y"]).as_deref(), Some("3"));
    }

    #[test]
    fn multipart_bodies_are_forms_and_a_json_part_is_the_whole_form() {
        let kind = "multipart/form-data; boundary=XX";
        let form =
            b"--XX\r\nContent-Disposition: form-data; name=\"a[b]\"\r\n\r\n1\r\n2\r\n--XX--\r\n";
        assert_eq!(
            text(&Params::from_multipart(form, kind), &["a", "b"]).as_deref(),
            Some("1\r\n2")
        );
        let json = b"--XX\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n{\"a\":{\"b\":5}}\r\n--XX--";
        assert_eq!(
            text(&Params::from_multipart(json, kind), &["a", "b"]).as_deref(),
            Some("5")
        );
    }

    #[test]
    fn text_becomes_numbers_as_in_php() {
        for (input, int) in [
            ("12", 12),
            (" 12abc", 12),
            ("1.9", 1),
            ("1e3", 1000),
            ("abc", 0),
            ("", 0),
            ("-5", -5),
        ] {
            assert_eq!(Param::Text(input.to_owned()).to_int(), int, "{input:?}");
        }
        for (input, whole) in [
            ("12", true),
            (" 12 ", true),
            ("12abc", false),
            ("", false),
            ("1.5", true),
            ("inf", false),
        ] {
            assert_eq!(number(input).is_some(), whole, "{input:?}");
        }
    }
}
