//! Merge patches (RFC 7396).

use serde_json::{Map, Value};

/// What makes `before` to `after`; `None` = they are equal.
pub(super) fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    for name in before.keys().filter(|it| !after.contains_key(*it)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, after) in after {
        let patched = match before.get(name) {
            Some(before) => difference(before, after),
            None => Some(after.clone()),
        };
        if let Some(value) = patched {
            patch.insert(name.clone(), value);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_names_what_differs_and_no_more() {
        let before = json!({"a": 1, "b": {"c": [1, 2], "d": 1}, "e": {"f": 1}, "g": 1});
        let after = json!({"a": 1, "b": {"c": [2], "d": 1}, "e": {}, "h": {"i": 1}});
        let patch = json!({"b": {"c": [2]}, "e": {"f": null}, "g": null, "h": {"i": 1}});
        assert_eq!(difference(&before, &after), Some(patch));
        assert_eq!(difference(&before, &before), None);
        assert_eq!(difference(&Value::Null, &json!({"a": 1})), Some(json!({"a": 1})));
    }
}
