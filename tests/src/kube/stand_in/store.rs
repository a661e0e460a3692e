//! What the stand-in keeps: the objects, their last changes, and which kinds there are.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::failure::Failure;
use super::kinds::{CRD_GROUP, CRD_PLURAL, Collection, Kind, Kinds};
use super::selector::Selector;

/// How many changes are remembered for watches that resume; older ones are answered by 410.
const HISTORY_MAX: usize = 65_536;
/// Most objects; more are refused with 422.
const OBJECTS_MAX: usize = 500_000;

/// Namespace (empty for what has none) and name.
pub(super) type Key = (String, String);

/// What a field manager applied last to an object or to its status.
#[derive(Debug)]
struct Applied {
    manager: String,
    is_status: bool,
    document: Value,
}

/// One change of one object; what is before or after it is absent at its ends.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) collection: Collection,
    pub(super) before: Option<Arc<Value>>,
    pub(super) after: Option<Arc<Value>>,
    /// What a watch is told of the end: the object as it was, at the revision of its end.
    pub(super) last: Option<Arc<Value>>,
}

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) objects: Vec<Arc<Value>>,
    pub(super) revision: u64,
    pub(super) next: Option<String>,
    pub(super) left_count: usize,
}

/// Everything the server holds.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) kinds: Kinds,
    applied: HashMap<(Collection, Key), Vec<Applied>>,
    objects: HashMap<Collection, BTreeMap<Key, Arc<Value>>>,
    objects_count: usize,
    revision: u64,
    /// The revision after which every change is remembered.
    oldest: u64,
    history: VecDeque<Arc<Change>>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            kinds: Kinds::builtin(),
            applied: HashMap::new(),
            objects: HashMap::new(),
            objects_count: 0,
            revision: 1,
            oldest: 1,
            history: VecDeque::new(),
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn object(&self, kind: &Kind, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(&kind.collection())?.get(key)
    }

    pub(super) fn has_namespace(&self, name: &str) -> bool {
        let key = (String::new(), name.to_owned());
        let namespaces = (String::new(), "namespaces".to_owned());
        self.objects.get(&namespaces).is_some_and(|objects| objects.contains_key(&key))
    }

    /// What the manager applied last to an object, or to its status.
    pub(super) fn last_applied(
        &self,
        kind: &Kind,
        key: &Key,
        manager: &str,
        is_status: bool,
    ) -> Option<&Value> {
        let applied = self.applied.get(&(kind.collection(), key.clone()))?;
        let of = |last: &&Applied| last.manager == manager && last.is_status == is_status;
        applied.iter().find(of).map(|last| &last.document)
    }

    /// Remembers what the manager applied.
    pub(super) fn remember_applied(
        &mut self,
        kind: &Kind,
        key: &Key,
        manager: &str,
        is_status: bool,
        document: Value,
    ) {
        let applied = self.applied.entry((kind.collection(), key.clone())).or_default();
        applied.retain(|last| last.manager != manager || last.is_status != is_status);
        applied.push(Applied { manager: manager.to_owned(), is_status, document });
    }

    /// The objects of a kind in one namespace or, if none is named, in all.
    pub(super) fn objects<'a>(
        &'a self,
        kind: &Kind,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let objects = self.objects.get(&kind.collection()).into_iter().flatten();
        objects.filter(move |(key, _)| namespace.is_none_or(|namespace| key.0 == namespace))
    }

    /// At most `limit` of the selected objects, from where `next` of the page before says.
    pub(super) fn page(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: &Selector,
        limit: Option<usize>,
        next: Option<&str>,
    ) -> Result<Page, Failure> {
        let (revision, after) = match next {
            None => (self.revision, None),
            Some(token) => {
                let (revision, key) = parse_token(token)
                    .ok_or_else(|| Failure::bad_request("continue key is not valid"))?;
                if revision < self.oldest {
                    return Err(Failure::expired(revision, self.oldest));
                }
                (revision, Some(key))
            }
        };
        let mut selected = self.objects(kind, namespace).filter(|(key, object)| {
            after.as_ref().is_none_or(|after| *key > after) && selector.selects(object)
        });
        let page: Vec<(&Key, &Arc<Value>)> =
            selected.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
        let left_count = selected.count();
        let next = (left_count > 0)
            .then(|| page.last().map(|((namespace, name), _)| token(revision, namespace, name)))
            .flatten();
        let objects = page.into_iter().map(|(_, object)| Arc::clone(object)).collect();
        Ok(Page { objects, revision, next, left_count })
    }

    /// The changes after a revision. Errors: some of them are forgotten.
    pub(super) fn changes_after(
        &self,
        revision: u64,
    ) -> Result<impl Iterator<Item = &Arc<Change>>, Failure> {
        if revision < self.oldest {
            return Err(Failure::expired(revision, self.oldest));
        }
        let start = self.history.partition_point(|change| change.revision <= revision);
        Ok(self.history.range(start..))
    }

    /// Forgets all changes, so that only who has seen the last of them may go on.
    pub(super) fn forget_history(&mut self) {
        self.history.clear();
        self.oldest = self.revision;
    }

    /// Puts an object in place, at a revision of its own, and returns it as it is now.
    pub(super) fn put(
        &mut self,
        kind: &Kind,
        key: Key,
        mut object: Value,
    ) -> Result<Arc<Value>, Failure> {
        if self.objects_count >= OBJECTS_MAX {
            return Err(Failure::invalid("too many objects"));
        }
        self.revision += 1;
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.insert("resourceVersion".to_owned(), json!(self.revision.to_string()));
        }
        let object = Arc::new(object);
        let objects = self.objects.entry(kind.collection()).or_default();
        let before = objects.insert(key, Arc::clone(&object));
        self.objects_count += usize::from(before.is_none());
        if is_definition(kind) {
            self.kinds.define(&object);
        }
        self.remember(kind, before, Some(Arc::clone(&object)), None);
        Ok(object)
    }

    /// Takes an object away; with a definition goes everything of the kinds it defined.
    pub(super) fn take(&mut self, kind: &Kind, key: &Key) -> Option<Arc<Value>> {
        let before = self.objects.get_mut(&kind.collection())?.remove(key)?;
        self.objects_count = self.objects_count.saturating_sub(1);
        let collection = kind.collection();
        self.applied.remove(&(collection, key.clone()));
        self.revision += 1;
        let mut last = Value::clone(&before);
        if let Some(metadata) = last["metadata"].as_object_mut() {
            metadata.insert("resourceVersion".to_owned(), json!(self.revision.to_string()));
        }
        self.remember(kind, Some(Arc::clone(&before)), None, Some(Arc::new(last)));
        if is_definition(kind) {
            let defined = self.kinds.once_each().into_iter().find(|defined| {
                before["spec"]["group"] == defined.group.as_str()
                    && before["spec"]["names"]["plural"] == defined.plural.as_str()
            });
            if let Some(defined) = defined {
                let keys: Vec<Key> =
                    self.objects(&defined, None).map(|(key, _)| key.clone()).collect();
                for key in keys {
                    self.take(&defined, &key);
                }
            }
            self.kinds.forget(&before);
        }
        Some(before)
    }

    fn remember(
        &mut self,
        kind: &Kind,
        before: Option<Arc<Value>>,
        after: Option<Arc<Value>>,
        last: Option<Arc<Value>>,
    ) {
        if self.history.len() >= HISTORY_MAX
            && let Some(forgotten) = self.history.pop_front()
        {
            self.oldest = forgotten.revision;
        }
        let (revision, collection) = (self.revision, kind.collection());
        self.history.push_back(Arc::new(Change { revision, collection, before, after, last }));
    }
}

pub(super) fn is_definition(kind: &Kind) -> bool {
    kind.group == CRD_GROUP && kind.plural == CRD_PLURAL
}

fn token(revision: u64, namespace: &str, name: &str) -> String {
    format!("{revision}/{namespace}/{name}")
}

fn parse_token(token: &str) -> Option<(u64, Key)> {
    let mut parts = token.splitn(3, '/');
    let revision = parts.next()?.parse().ok()?;
    Some((revision, (parts.next()?.to_owned(), parts.next()?.to_owned())))
}
