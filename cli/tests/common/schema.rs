//! A validator for the part of JSON Schema that `schema/output.json` uses.

use std::path::Path;

use serde_json::Value;

/// The schema of all commands.
pub(crate) struct Schema(Value);

impl Schema {
    pub(crate) fn load() -> Self {
        Self::load_file("output.json")
    }

    /// A file in `schema`.
    pub(crate) fn load_file(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
        Self(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    }

    /// The keys of all documents, sorted.
    pub(crate) fn keys(&self) -> Vec<String> {
        fn add(schema: &Value, keys: &mut Vec<String>) {
            match schema {
                Value::Object(map) => {
                    if let Some(Value::Object(properties)) = map.get("properties") {
                        keys.extend(properties.keys().cloned());
                    }
                    map.values().for_each(|schema| add(schema, keys));
                }
                Value::Array(schemas) => schemas.iter().for_each(|schema| add(schema, keys)),
                _ => {}
            }
        }
        let mut keys = Vec::new();
        add(&self.0, &mut keys);
        keys.sort();
        keys.dedup();
        keys
    }

    /// Validates the document of a command.
    ///
    /// # Errors
    ///
    /// The place and the reason of the first violation.
    pub(crate) fn validate(&self, command: &str, document: &Value) -> Result<(), String> {
        self.check(&self.0["$defs"][command], document, "")
    }

    /// Every keyword has an arm: an unknown one is a panic, never a pass.
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let keywords = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err(format!("{at}: must be absent")),
            Value::Object(keywords) => keywords,
            other => panic!("no schema: {other}"),
        };
        for (keyword, wanted) in keywords {
            let passes = match keyword.as_str() {
                "title" | "description" => true,
                "$ref" => {
                    let name = wanted.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    self.check(&self.0["$defs"][name], value, at)?;
                    true
                }
                "type" => match wanted {
                    Value::Array(names) => names.iter().any(|name| has_type(value, name)),
                    name => has_type(value, name),
                },
                "const" => value == wanted,
                "enum" => wanted.as_array().unwrap().contains(value),
                "minimum" => value.as_f64().is_none_or(|n| n >= wanted.as_f64().unwrap()),
                "minLength" => value.as_str().is_none_or(|s| s.len() >= number(wanted)),
                "maxLength" => value.as_str().is_none_or(|s| s.len() <= number(wanted)),
                "minItems" => value.as_array().is_none_or(|a| a.len() >= number(wanted)),
                "maxItems" => value.as_array().is_none_or(|a| a.len() <= number(wanted)),
                "required" => wanted.as_array().unwrap().iter().all(|key| {
                    value.as_object().is_none_or(|map| map.contains_key(key.as_str().unwrap()))
                }),
                "properties" | "additionalProperties" => {
                    for (key, member) in value.as_object().into_iter().flatten() {
                        let named = keywords.get("properties").and_then(|named| named.get(key));
                        let other = named.is_none().then_some(wanted);
                        let schema = if keyword == "properties" { named } else { other };
                        schema.map_or(Ok(()), |s| self.check(s, member, &format!("{at}.{key}")))?;
                    }
                    true
                }
                "items" | "prefixItems" => {
                    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                        let schema = if keyword == "items" { Some(wanted) } else { wanted.get(n) };
                        schema.map_or(Ok(()), |s| self.check(s, item, &format!("{at}[{n}]")))?;
                    }
                    true
                }
                "allOf" => {
                    wanted.as_array().unwrap().iter().try_for_each(|s| self.check(s, value, at))?;
                    true
                }
                "anyOf" => self.matches(wanted, value, at) > 0,
                "oneOf" => self.matches(wanted, value, at) == 1,
                "if" => {
                    let branch =
                        if self.check(wanted, value, at).is_ok() { "then" } else { "else" };
                    keywords.get(branch).map_or(Ok(()), |s| self.check(s, value, at))?;
                    true
                }
                "then" | "else" => true,
                unknown => panic!("keyword {unknown}"),
            };
            if !passes {
                return Err(format!("{at}: {keyword} {wanted}, not {value}"));
            }
        }
        Ok(())
    }

    /// The number of alternatives that `value` matches.
    fn matches(&self, alternatives: &Value, value: &Value, at: &str) -> usize {
        let alternatives = alternatives.as_array().unwrap();
        alternatives.iter().filter(|schema| self.check(schema, value, at).is_ok()).count()
    }
}

fn has_type(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        // A 128-bit integer is a float to serde_json.
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "array" => value.is_array(),
        "object" => value.is_object(),
        unknown => panic!("type {unknown}"),
    }
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap().try_into().unwrap()
}
