//! Label and field selectors of list and watch.

use serde_json::Value;

use super::failure::Failure;

/// Longest selector, in requirements.
const REQUIREMENTS_MAX: usize = 64;

/// Which objects a list or a watch is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selector {
    labels: Vec<(String, Test)>,
    fields: Vec<(Vec<String>, Test)>,
}

/// What is asked of one label or field.
#[derive(Debug, PartialEq, Eq)]
enum Test {
    Is(Vec<String>),
    IsNot(Vec<String>),
    Exists,
    IsAbsent,
}

impl Selector {
    /// Parses `labelSelector` and `fieldSelector`; empty texts select everything.
    pub(super) fn parse(labels: &str, fields: &str) -> Result<Self, Failure> {
        let labels = parts(labels)?.into_iter().map(label).collect::<Option<_>>();
        let fields = parts(fields)?.into_iter().map(field).collect::<Option<_>>();
        match (labels, fields) {
            (Some(labels), Some(fields)) => Ok(Self { labels, fields }),
            _ => Err(Failure::bad_request("unable to parse the selector")),
        }
    }

    pub(super) fn selects(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|(key, test)| test.holds(labels[key].as_str()))
            && self.fields.iter().all(|(path, test)| {
                let value = path.iter().fold(object, |value, key| &value[key.as_str()]);
                // A field that is absent is the empty text.
                test.holds(Some(value.as_str().unwrap_or_default()))
            })
    }
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::Is(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
            Self::IsNot(values) => value.is_none_or(|value| values.iter().all(|v| v != value)),
            Self::Exists => value.is_some(),
            Self::IsAbsent => value.is_none(),
        }
    }
}

/// Splits at the commas outside of parentheses.
fn parts(text: &str) -> Result<Vec<&str>, Failure> {
    let mut depth = 0_usize;
    let is_separator = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    let parts: Vec<&str> =
        text.split(is_separator).map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > REQUIREMENTS_MAX {
        return Err(Failure::bad_request("a selector of too many requirements"));
    }
    Ok(parts)
}

fn label(part: &str) -> Option<(String, Test)> {
    if let Some(pair) = equality(part) {
        return Some(pair);
    }
    if let Some(key) = part.strip_prefix('!') {
        return Some((key.trim().to_owned(), Test::IsAbsent));
    }
    if let Some((key, values)) = part.split_once(" notin ") {
        return Some((key.trim().to_owned(), Test::IsNot(set(values)?)));
    }
    if let Some((key, values)) = part.split_once(" in ") {
        return Some((key.trim().to_owned(), Test::Is(set(values)?)));
    }
    (!part.contains([' ', '('])).then(|| (part.to_owned(), Test::Exists))
}

fn field(part: &str) -> Option<(Vec<String>, Test)> {
    let (path, test) = equality(part)?;
    Some((path.split('.').map(str::to_owned).collect(), test))
}

fn equality(part: &str) -> Option<(String, Test)> {
    let pair = |(key, value): (&str, &str)| (key.trim().to_owned(), vec![value.trim().to_owned()]);
    if let Some((key, value)) = part.split_once("!=").map(pair) {
        return Some((key, Test::IsNot(value)));
    }
    let (key, value) = part.split_once("==").or_else(|| part.split_once('=')).map(pair)?;
    Some((key, Test::Is(value)))
}

fn set(text: &str) -> Option<Vec<String>> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    Some(inner.split(',').map(|value| value.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_and_fields_are_selected_as_kubernetes_defines_it() {
        let object = json!({
            "metadata": { "name": "a", "labels": { "app": "web", "tier": "front" } },
            "type": "kubernetes.io/tls",
        });
        for (labels, fields, is_selected) in [
            ("", "", true),
            ("app=web", "", true),
            ("app==web,tier!=back", "", true),
            ("app!=web", "", false),
            ("app in (api, web),!old", "", true),
            ("app notin (api,web)", "", false),
            ("tier", "", true),
            ("!tier", "", false),
            ("missing!=x", "", true),
            ("", "metadata.name=a,type=kubernetes.io/tls", true),
            ("", "metadata.name=b", false),
            ("", "metadata.namespace=", true),
        ] {
            let selector = Selector::parse(labels, fields).unwrap();
            assert_eq!(selector.selects(&object), is_selected, "{labels:?} {fields:?}");
        }
        assert!(Selector::parse("a in b", "").is_err());
        assert!(Selector::parse("", "metadata.name").is_err());
    }
}
