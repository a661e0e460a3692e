//! Objects with some of their values replaced: what is mostly right gets further than any bytes.

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use serde_json::Value;

/// Changes of one input, at most.
const EDITS_MAX: usize = 8;

/// Depth at which values are replaced, at most.
const DEPTH_MAX: usize = 16;

/// Of annotations that objects of any kind may have.
const PREFIXES: [&str; 3] = ["nginx.ingress.kubernetes.io/", "lb.internal/", ""];

/// Changes of some objects.
#[derive(Arbitrary, Debug)]
pub struct Edits<'a>(Vec<Edit<'a>>);

/// A change of one value of one object.
#[derive(Arbitrary, Debug)]
struct Edit<'a> {
    place: Place,
    change: Change<'a>,
}

/// Which of the objects, and where in it: each step down takes one of the values that are there.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Place {
    object: u8,
    steps: u32,
}

#[derive(Arbitrary, Debug)]
enum Change<'a> {
    Remove,
    Text(&'a str),
    Append(&'a str),
    Number(i64),
    Flag(bool),
    Repeat(u8),
    Copy(Place),
    Annotation { prefix: u8, name: &'a str, value: &'a str },
}

impl Edits<'_> {
    /// These objects, changed.
    pub fn of(&self, objects: &[Value]) -> Vec<Value> {
        let mut edited = objects.to_vec();
        for edit in self.0.iter().take(EDITS_MAX) {
            edit.apply(&mut edited);
        }
        edited
    }
}

impl Edit<'_> {
    fn apply(&self, objects: &mut [Value]) {
        if let Change::Annotation { prefix, name, value } = self.change {
            let count = objects.len();
            let object = &mut objects[usize::from(self.place.object) % count];
            annotate(object, PREFIXES[usize::from(prefix) % PREFIXES.len()], name, value);
            return;
        }
        let copied = match self.change {
            Change::Copy(from) => from.find(objects).clone(),
            _ => Value::Null,
        };
        let value = self.place.find(objects);
        match (&self.change, value) {
            (Change::Append(text), Value::String(it)) => it.push_str(text),
            (Change::Repeat(times), Value::Array(all)) => {
                let once = all.clone();
                all.extend(once.into_iter().cycle().take(usize::from(*times)));
            }
            (Change::Remove | Change::Copy(_), value) => *value = copied,
            (Change::Text(text), value) => *value = (*text).into(),
            (Change::Number(number), value) => *value = (*number).into(),
            (Change::Flag(flag), value) => *value = (*flag).into(),
            (Change::Append(_) | Change::Repeat(_) | Change::Annotation { .. }, _) => {}
        }
    }
}

impl Place {
    fn find(self, objects: &mut [Value]) -> &mut Value {
        let count = objects.len();
        let mut value = &mut objects[usize::from(self.object) % count];
        let mut steps = self.steps as usize;
        for _ in 0..DEPTH_MAX {
            let count = match &*value {
                Value::Object(fields) => fields.len(),
                Value::Array(items) => items.len(),
                _ => 0,
            };
            // One choice more: to stay here.
            let index = steps % (count + 1);
            steps /= count + 1;
            if index == count {
                break;
            }
            value = match value {
                Value::Object(fields) => fields.values_mut().nth(index),
                Value::Array(items) => items.get_mut(index),
                _ => None,
            }
            .expect("there are so many");
        }
        value
    }
}

fn annotate(object: &mut Value, prefix: &str, name: &str, value: &str) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let annotations =
        metadata.entry("annotations").or_insert_with(|| Value::Object(<_>::default()));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(format!("{prefix}{name}"), value.into());
    }
}
