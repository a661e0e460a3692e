//! Certificates in cases: `{{chain NAME}}` and `{{key NAME}}` instead of PEM, in and out.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex},
};

/// Chain and key by name, made when first asked for.
static MADE: LazyLock<Mutex<BTreeMap<String, (String, String)>>> = LazyLock::new(Mutex::default);

/// With PEM for the names in it.
pub(crate) fn filled(value: Value) -> Value {
    map(value, &|text| {
        let name = |begin| text.strip_prefix(begin)?.strip_suffix("}}");
        match (name("{{chain "), name("{{key ")) {
            (Some(name), _) => made(name).0,
            (_, Some(name)) => made(name).1,
            _ => text,
        }
    })
}

/// With names for the PEM in it; texts that are kept as bytes are texts.
pub(crate) fn hidden(value: Value) -> Value {
    let made = MADE.lock().unwrap().clone();
    map(texts(value), &|mut text| {
        for (name, (chain, _)) in &made {
            text = text.replace(chain, &format!("{{{{chain {name}}}}}"));
        }
        text
    })
}

fn made(name: &str) -> (String, String) {
    let mut made = MADE.lock().unwrap();
    let certificate = || {
        let made = rcgen::generate_simple_self_signed(vec![format!("{name}.example")]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    made.entry(name.to_owned()).or_insert_with(certificate).clone()
}

fn map(value: Value, text: &impl Fn(String) -> String) -> Value {
    match value {
        Value::String(it) => Value::String(text(it)),
        Value::Array(items) => items.into_iter().map(|it| map(it, text)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, it)| (name, map(it, text))).collect()
        }
        other => other,
    }
}

fn texts(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let byte = |it: &Value| it.as_u64().and_then(|it| u8::try_from(it).ok());
            let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
            match bytes.and_then(|it| String::from_utf8(it).ok()) {
                Some(text) if text.starts_with("-----BEGIN") => Value::String(text),
                _ => items.into_iter().map(texts).collect(),
            }
        }
        Value::Object(fields) => fields.into_iter().map(|(name, it)| (name, texts(it))).collect(),
        other => other,
    }
}
