//! Role-based access control, for clients that act as somebody: who is not said to be anybody is
//! an administrator.

use serde_json::Value;

use super::failure::Failure;
use super::kinds::Kind;
use super::store::Store;
use super::target::Target;
use super::write::Part;

/// The API group of roles and their bindings.
const GROUP: &str = "rbac.authorization.k8s.io";

/// One thing that somebody wants to do.
pub(super) struct Wish<'a> {
    pub(super) user: &'a str,
    pub(super) verb: &'a str,
    pub(super) target: &'a Target,
    /// The one object that a list or a watch is about, if it names one.
    pub(super) selected_name: Option<&'a str>,
}

impl Wish<'_> {
    /// Errors: no role that the user is bound to allows it.
    pub(super) fn check(&self, store: &Store) -> Result<(), Failure> {
        let (kind, namespace, name, part) = match self.target {
            Target::Collection { kind, namespace } => {
                (kind, namespace.as_deref(), self.selected_name, Part::Main)
            }
            Target::Object { kind, namespace, name, part } => {
                let namespace = Some(namespace.as_str()).filter(|name| !name.is_empty());
                (kind, namespace, Some(name.as_str()), *part)
            }
            // What a server is and serves is told to everybody.
            _ => return Ok(()),
        };
        let resource = match part {
            Part::Main => kind.plural.clone(),
            Part::Status => format!("{}/status", kind.plural),
        };
        let allows = |rule: &Value| {
            has(&rule["apiGroups"], &kind.group)
                && has(&rule["resources"], &resource)
                && has(&rule["verbs"], self.verb)
                && (is_empty(&rule["resourceNames"])
                    || name.is_some_and(|name| has(&rule["resourceNames"], name)))
        };
        if self.rules(store, namespace).iter().any(allows) {
            return Ok(());
        }
        let place = namespace.map_or_else(
            || " at the cluster scope".to_owned(),
            |namespace| format!(" in the namespace {namespace:?}"),
        );
        Err(Failure::forbidden(format!(
            "{resource}.{group} is forbidden: User {user:?} cannot {verb} resource {resource:?} in \
             API group {group:?}{place}",
            group = kind.group,
            user = self.user,
            verb = self.verb,
        )))
    }

    /// The rules of every role that the user is bound to in all namespaces or in this one.
    fn rules(&self, store: &Store, namespace: Option<&str>) -> Vec<Value> {
        let mut rules = Vec::new();
        let bindings = [("clusterrolebindings", None), ("rolebindings", namespace)];
        for (plural, namespace) in bindings {
            if plural == "rolebindings" && namespace.is_none() {
                continue;
            }
            let Some(kind) = kind(store, plural) else { continue };
            for (key, binding) in store.objects(&kind, namespace) {
                let subjects = binding["subjects"].as_array().into_iter().flatten();
                if subjects.into_iter().any(|subject| is_subject(subject, self.user)) {
                    rules.extend(role_rules(store, &binding["roleRef"], &key.0));
                }
            }
        }
        rules
    }
}

fn role_rules(store: &Store, reference: &Value, namespace: &str) -> Vec<Value> {
    let (plural, namespace) = match reference["kind"].as_str() {
        Some("ClusterRole") => ("clusterroles", ""),
        _ => ("roles", namespace),
    };
    let name = reference["name"].as_str().unwrap_or_default();
    let key = (namespace.to_owned(), name.to_owned());
    let role = kind(store, plural).and_then(|kind| store.object(&kind, &key).cloned());
    role.and_then(|role| role["rules"].as_array().cloned()).unwrap_or_default()
}

fn kind(store: &Store, plural: &str) -> Option<Kind> {
    store.kinds.find(GROUP, "v1", plural).cloned()
}

fn is_subject(subject: &Value, user: &str) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str() {
        Some("ServiceAccount") => {
            let namespace = subject["namespace"].as_str().unwrap_or_default();
            user == format!("system:serviceaccount:{namespace}:{name}")
        }
        Some("User") => user == name,
        Some("Group") => {
            let account = user.strip_prefix("system:serviceaccount:");
            let namespace = account.and_then(|rest| rest.split(':').next());
            name == "system:authenticated"
                || (name == "system:serviceaccounts" && account.is_some())
                || namespace.is_some_and(|namespace| {
                    name.strip_prefix("system:serviceaccounts:") == Some(namespace)
                })
        }
        _ => false,
    }
}

fn has(list: &Value, word: &str) -> bool {
    list.as_array().is_some_and(|words| words.iter().any(|known| known == word || known == "*"))
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}
