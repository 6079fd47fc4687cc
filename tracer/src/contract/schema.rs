//! The JSON Schema of everything that leaves the process. It is made from the types, their rustdoc being
//! the descriptions, and checked in, so that the program does not carry what makes it.

/// JSON Schema, draft 2020-12.
pub const JSON_SCHEMA: &str = include_str!("schema.json");

#[cfg(test)]
pub(super) use made::Whole;

#[cfg(test)]
mod made {
    use std::{borrow::Cow, marker::PhantomData};

    use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
    use serde_json::{Value, json};

    use crate::contract::{
        Count, Doctor, End, Finding, Gap, GapReason, Hex, Incident, Label, Loss, Missed, Named,
        Run, SCHEMA, Scan, Status, Story, Time, Truncation, Untrusted, Vocabulary, Watching,
    };

    /// Where bytes that are no UTF-8 may stand: a field named like it with `_bytes` behind may stand
    /// beside it.
    const UNTRUSTED: &str = "x-untrusted";
    /// The words of a field that holds one of a few; a later version may have more.
    const WORDS: &str = "x-words";

    macro_rules! inline_schema {
        ($type:ty, $name:literal, $schema:tt) => {
            impl JsonSchema for $type {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    $name.into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($schema)
                }
            }
        };
    }
    inline_schema!(Untrusted, "Untrusted", { "type": "string", "x-untrusted": true });
    inline_schema!(Label, "Label", { "type": "string" });
    inline_schema!(GapReason, "GapReason", { "type": "string" });
    inline_schema!(Time, "Time", { "type": "string", "format": "date-time" });
    inline_schema!(Hex, "Hex", { "type": "string", "pattern": "^0x[0-9a-f]+$" });

    impl<T: Vocabulary> JsonSchema for Named<T> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "Named".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            let words: Vec<&str> = T::words().into_iter().map(T::word).collect();
            json_schema!({ "type": "string", "enum": words })
        }
    }

    /// A type that is a kind of its own, and the kinds it goes by.
    pub trait Kind: JsonSchema {
        const KINDS: &[&str];
    }

    macro_rules! kinds {
        ($($type:ty: $($kind:literal)+,)*) => {
            $(impl Kind for $type {
                const KINDS: &[&str] = &[$($kind),+];
            })*

            /// One for each kind of line.
            fn lines(generator: &mut SchemaGenerator) -> Vec<Value> {
                vec![$(generator.subschema_for::<Whole<$type>>().to_value()),*]
            }

            pub const KINDS: &[&str] = &[$($($kind),+),*];
        };
    }
    kinds! {
        Watching: "watching",
        Incident: "incident" "update",
        Truncation: "truncation",
        Loss: "loss",
        Missed: "missed",
        End: "end",
        Finding: "finding",
        Scan: "scan",
        Doctor: "doctor",
        Story: "story",
        Count: "count",
        Gap: "gap",
        Run: "run",
        Status: "status",
    }

    /// The schema of a line: of the type, and what every line has.
    pub struct Whole<T>(PhantomData<T>);

    impl<T: Kind> JsonSchema for Whole<T> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "Whole".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let mut schema = json_schema!({
                "properties": {
                    "schema": {
                        "const": SCHEMA,
                        "description": "The version of the contract.",
                    },
                    "kind": { "enum": T::KINDS, "description": "What the line is." },
                },
                "required": ["schema", "kind"],
            });
            if let Some(reference) = generator.subschema_for::<T>().get("$ref") {
                schema.insert("$ref".to_owned(), reference.clone());
            }
            schema
        }
    }

    /// The whole schema, as it is checked in.
    pub fn schema() -> String {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let mut generator = settings.into_generator();
        let lines = lines(&mut generator);
        let defs = generator.take_definitions(true);
        let mut schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "One line of `-o json`, or of `whybus export`",
            "description": "Sizes and offsets are bytes, times RFC 3339 with nanoseconds, durations end in _ns. \
                Absent facts are null, where it helps with a sibling _why. A string is text; where its bytes \
                were no UTF-8 it is lossy, and a sibling _bytes has them in base64. New fields, kinds and words \
                may come without notice; anything else raises `schema`.",
            "oneOf": lines,
            "$defs": defs,
        });
        mend(&mut schema);
        let mut text = serde_json::to_string_pretty(&schema).expect("JSON");
        text.push('\n');
        text
    }

    /// Makes of the marks what they stand for, wherever they are.
    fn mend(schema: &mut Value) {
        match schema {
            Value::Array(items) => items.iter_mut().for_each(mend),
            Value::Object(fields) => {
                // Where a line of rustdoc ends means nothing.
                if let Some(Value::String(text)) = fields.get_mut("description") {
                    *text = text.replace('\n', " ");
                }
                if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                    *properties = std::mem::take(properties).into_iter().flat_map(mended).collect();
                }
                fields.values_mut().for_each(mend);
            }
            _ => {}
        }
    }

    /// A field, and what may stand beside it.
    fn mended((name, mut schema): (String, Value)) -> Vec<(String, Value)> {
        let mut beside = None;
        if let Some(fields) = schema.as_object_mut() {
            // What reads it fills in is of no use to who reads this.
            fields.shift_remove("default");
            if let Some(Value::Array(mut words)) = fields.shift_remove(WORDS) {
                if fields.get("type").is_some_and(Value::is_array) {
                    words.push(Value::Null);
                }
                fields.insert("enum".to_owned(), Value::Array(words));
            }
            let one = json!({ "type": "string", "contentEncoding": "base64" });
            if fields.shift_remove(UNTRUSTED).is_some() {
                beside = Some((one, "The bytes of", "absent"));
            } else if let Some(items) = fields.get_mut("items").and_then(Value::as_object_mut)
                && items.shift_remove(UNTRUSTED).is_some()
            {
                let one = json!({ "type": ["string", "null"], "contentEncoding": "base64" });
                let list = json!({ "type": "array", "items": one });
                beside = Some((list, "The bytes of each item of", "null, and absent if all are"));
            }
        }
        let mut all = vec![(name.clone(), schema)];
        if let Some((Value::Object(mut fields), what, absent)) = beside {
            let text = format!("{what} `{name}`, where they are no UTF-8; else {absent}.");
            fields.insert("description".to_owned(), text.into());
            all.push((format!("{name}_bytes"), Value::Object(fields)));
        }
        all
    }

    pub fn properties<'a>(schema: &'a Value, found: &mut Vec<(&'a str, &'a Value)>) {
        match schema {
            Value::Array(items) => items.iter().for_each(|item| properties(item, found)),
            Value::Object(fields) => {
                let here = fields.get("properties").and_then(Value::as_object);
                found
                    .extend(here.into_iter().flatten().map(|(name, value)| (name.as_str(), value)));
                fields.values().for_each(|value| properties(value, found));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use serde_json::Value;

    use super::{JSON_SCHEMA, made};
    use crate::contract::{json, samples};

    #[test]
    fn the_schema_is_made_from_the_types() {
        let made = made::schema();
        if env::var_os("UPDATE_SCHEMA").is_some() {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/contract/schema.json");
            fs::write(file, &made).expect("room");
            return;
        }
        let differs = made.lines().zip(JSON_SCHEMA.lines()).find(|(made, kept)| made != kept);
        assert!(
            made == JSON_SCHEMA,
            "contract/schema.json is not what the types say ({differs:?}): look whether the change is \
             compatible (docs/json.md), then make it anew by \
             `UPDATE_SCHEMA=1 cargo test -p tracer --lib contract::schema`"
        );
    }

    #[test]
    fn every_field_is_described() {
        let schema: Value = serde_json::from_str(JSON_SCHEMA).expect("JSON");
        let mut found = Vec::new();
        made::properties(&schema, &mut found);
        assert!(found.len() > 200, "{}", found.len());
        for (name, schema) in found {
            assert!(schema["description"].is_string(), "{name}: {schema}");
        }
    }

    #[test]
    fn every_kind_is_valid() {
        let schema = serde_json::from_str(JSON_SCHEMA).expect("JSON");
        let mut compiler = boon::Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource("whybus", schema).expect("a schema");
        let mut schemas = boon::Schemas::new();
        let index = compiler.compile("whybus", &mut schemas).expect("a schema");
        let mut kinds = Vec::new();
        for record in samples::every_kind() {
            let line: Value = serde_json::from_slice(&json::to_vec(&record)).expect("JSON");
            kinds.extend(line["kind"].as_str().map(str::to_owned));
            let valid = schemas.validate(&line, index);
            assert!(
                valid.is_ok(),
                "{line}: {}",
                valid.err().map_or_else(String::new, |e| e.to_string())
            );
        }
        kinds.dedup();
        assert_eq!(kinds, made::KINDS, "a sample of every kind, and a schema");
    }
}
