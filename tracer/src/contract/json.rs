//! Values of the contract as JSON, and back, of every version there was.
//!
//! This is the one place that knows how bytes stand in JSON: see [`Untrusted`]. Serde writes a value that
//! is no UTF-8 as an object, not knowing its field; the object is taken apart here, and put together
//! again before serde reads it.
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{contract::Untrusted, text::escape::inert};

/// What stands behind a field's name where its bytes stand.
const SUFFIX: &str = "_bytes";

/// One line, without its end. Nothing in it acts on a terminal.
pub fn to_vec(value: &impl Serialize) -> Vec<u8> {
    escaped(line(value))
}

/// What acts on a terminal as JSON escapes it: to whoever reads the JSON it is the same.
fn escaped(line: Vec<u8>) -> Vec<u8> {
    let text = match String::from_utf8(line) {
        Ok(text) if !inert(&text) => text,
        Ok(text) => return text.into_bytes(),
        Err(error) => return error.into_bytes(),
    };
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match inert(c.encode_utf8(&mut [0; 4])) {
            true => out.push(c),
            false => {
                c.encode_utf16(&mut [0; 2])
                    .iter()
                    .for_each(|unit| out += &format!("\\u{unit:04x}"));
            }
        }
    }
    out.into_bytes()
}

fn line(value: &impl Serialize) -> Vec<u8> {
    // Strings, numbers, lists and maps with string keys: that cannot fail.
    let plain = serde_json::to_vec(value).unwrap_or_default();
    // Inside a string the quote would be escaped. Nearly every line has no such object.
    let object = format!("{{\"{}\":", Untrusted::TEXT);
    if !holds(&plain, object.as_bytes()) {
        return plain;
    }
    let Ok(mut value) = serde_json::from_slice(&plain) else { return plain };
    split(&mut value);
    serde_json::to_vec(&value).unwrap_or(plain)
}

/// What a line says, whatever version of the contract it was written by.
///
/// # Errors
/// Where it is no JSON, or lacks what the type needs.
pub fn from_slice<T: DeserializeOwned>(line: &[u8]) -> serde_json::Result<T> {
    if !holds(line, format!("{SUFFIX}\"").as_bytes()) {
        return serde_json::from_slice(line);
    }
    let mut value = serde_json::from_slice(line)?;
    join(&mut value);
    serde_json::from_value(value)
}

fn holds(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}

/// The text and the bytes of what serde wrote for bytes that are no UTF-8.
fn parts(value: &mut Value) -> Option<(Value, Value)> {
    let object = value.as_object_mut().filter(|object| object.len() == 2)?;
    let text = object.get_mut(Untrusted::TEXT)?.take();
    Some((text, object.get_mut(Untrusted::BYTES)?.take()))
}

/// Puts bytes beside their text.
fn split(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(split),
        Value::Object(fields) => {
            for (name, mut value) in std::mem::take(fields) {
                let bytes = match &mut value {
                    Value::Array(items) => {
                        let bytes: Vec<Value> = items.iter_mut().map(split_item).collect();
                        bytes.iter().any(Value::is_string).then_some(Value::Array(bytes))
                    }
                    one => Some(split_item(one)).filter(Value::is_string),
                };
                split(&mut value);
                let beside = bytes.map(|bytes| (format!("{name}{SUFFIX}"), bytes));
                fields.insert(name, value);
                fields.extend(beside);
            }
        }
        _ => {}
    }
}

/// Leaves the text; gives the bytes, or null where the text is all there is.
fn split_item(value: &mut Value) -> Value {
    match parts(value) {
        Some((text, bytes)) => {
            *value = text;
            bytes
        }
        None => Value::Null,
    }
}

/// The reverse of [`split`].
fn join(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(join),
        Value::Object(fields) => {
            fields.values_mut().for_each(join);
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                let Some(bytes) = fields.get_mut(&format!("{name}{SUFFIX}")).map(Value::take)
                else {
                    continue;
                };
                match (fields.get_mut(&name), bytes) {
                    (Some(Value::Array(items)), Value::Array(bytes)) => {
                        items
                            .iter_mut()
                            .zip(bytes)
                            .for_each(|(item, bytes)| join_item(item, bytes));
                    }
                    (Some(item), bytes) => join_item(item, bytes),
                    (None, _) => {}
                }
            }
        }
        _ => {}
    }
}

fn join_item(text: &mut Value, bytes: Value) {
    if text.is_string() && bytes.is_string() {
        let mut object = Map::new();
        object.insert(Untrusted::TEXT.to_owned(), text.take());
        object.insert(Untrusted::BYTES.to_owned(), bytes);
        *text = Value::Object(object);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::{
        Incident, Label, Named, Record,
        samples::{every_kind, full_incident, hostile},
    };

    fn value(line: &[u8]) -> Value {
        serde_json::from_slice(line).expect("JSON")
    }

    #[test]
    fn every_kind_comes_back() {
        for record in every_kind() {
            let line = to_vec(&record);
            let back: Record = from_slice(&line).expect("the contract");
            match (&back, &record) {
                // What is not written.
                (Record::End(back), Record::End(end)) => assert_eq!(back.events, end.events),
                _ => assert_eq!(back, record),
            }
            assert_eq!(to_vec(&back), line);
        }
    }

    /// As serde alone writes it, which is what version 1 was.
    #[test]
    fn every_kind_of_version_1_comes_back() {
        for record in every_kind() {
            let mut old = serde_json::to_value(&record).expect("JSON");
            old["schema"] = 1.into();
            let line = serde_json::to_vec(&old).expect("JSON");
            let back: Record = from_slice(&line).expect("the contract");
            assert_eq!(to_vec(&back), to_vec(&record));
        }
    }

    #[test]
    fn a_line_says_first_what_it_is() {
        for record in every_kind() {
            let line = to_vec(&record);
            assert!(line.starts_with(b"{\"schema\":2,\"kind\":\""), "{}", value(&line));
        }
    }

    #[test]
    fn a_field_has_one_type_and_its_bytes_beside_it() {
        let line = value(&to_vec(&Record::from(full_incident())));
        let text = String::from_utf8_lossy(&hostile().0).into_owned();
        let bytes = "YRtbMkoK//57InRleHQiOg==";
        let victim = &line["victim"];
        assert_eq!((&victim["comm"], &victim["comm_bytes"]), (&json!(text), &json!(bytes)));
        assert_eq!(victim["cmdline"], json!(["cp", text, ""]));
        assert_eq!(victim["cmdline_bytes"], json!([null, bytes, null]));
        let names: Vec<&str> = victim.as_object().expect("fields").keys().map(|k| &**k).collect();
        let comm = names.iter().position(|name| *name == "comm").expect("a name");
        assert_eq!(names[comm + 1], "comm_bytes");
        // Nothing stands beside what is all there is.
        let mut plain = full_incident();
        plain.victim.comm.0 = b"geo-api".to_vec();
        plain.victim.cmdline = Some(vec![plain.victim.comm.clone()]);
        let line = value(&to_vec(&Record::from(plain)));
        assert_eq!(line["victim"]["comm"], "geo-api");
        assert_eq!(line["victim"]["comm_bytes"], Value::Null);
        assert_eq!(line["victim"]["cmdline_bytes"], Value::Null);
    }

    #[test]
    fn bytes_that_do_not_fit_their_text_are_left_alone() {
        let mut line = value(&to_vec(&Record::from(full_incident())));
        let text = line["victim"]["comm"].clone();
        line["victim"]["comm_bytes"] = json!(["YQ=="]);
        line["victim"]["cmdline_bytes"] = json!([null]);
        line["lost_bytes"] = json!("YQ==");
        line["nothing_bytes"] = json!({"of": "ours"});
        let back: Incident = from_slice(line.to_string().as_bytes()).expect("the contract");
        assert_eq!(json!(String::from_utf8_lossy(&back.victim.comm.0)), text);
        assert_eq!(
            back.victim.cmdline.expect("arguments")[1].0,
            line["victim"]["cmdline"][1].as_str().expect("text").as_bytes()
        );
        line["victim"]["comm_bytes"] = json!("no base64!");
        assert!(from_slice::<Incident>(line.to_string().as_bytes()).is_err());
    }

    /// A history that passes through this version comes out as it was.
    #[test]
    fn words_of_a_later_version_are_kept() {
        let mut line = value(&to_vec(&Record::from(full_incident())));
        line["cause"]["class"] = json!("eaten-by-mice");
        line["cause"]["confidence"] = json!("sworn");
        line["outcome"] = json!("frozen");
        let back: Record = from_slice(line.to_string().as_bytes()).expect("the contract");
        let Record::Incident(incident) = &back else { panic!("{back:?}") };
        assert_eq!(incident.cause.class, Named::Other(Label::from("eaten-by-mice")));
        assert_eq!(value(&to_vec(&back)), line);
    }

    #[test]
    fn nothing_in_a_line_acts_on_a_terminal() {
        let hostile = "a\u{7f}\u{9b}31m\u{202e}gpj\u{e0001}\n\\é日";
        let line = to_vec(&hostile);
        let text = std::str::from_utf8(&line).expect("JSON");
        assert_eq!(text, r#""a\u007f\u009b31m\u202egpj\udb40\udc01\n\\é日""#);
        assert_eq!(serde_json::from_str::<String>(text).expect("JSON"), hostile);
    }
}
