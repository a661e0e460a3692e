//! What a rule asks of a request beside its host and path.

use super::{Pattern, PatternError, query::Query};
use crate::http::{Method, Request};
use lb_model::{FieldMatch, RequestMatch, ValueMatch};
use std::{cell::OnceCell, fmt};

/// What a rule asks of a request beside its host and path: all of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Condition {
    method: Option<Method>,
    headers: Box<[Field]>,
    query: Box<[Field]>,
}

#[derive(Clone, Debug)]
struct Field {
    name: Box<str>,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Exact(Box<[u8]>),
    Pattern(Pattern),
    Present,
}

/// The request, and its query once somebody asked for it.
pub(super) struct Asked<'a> {
    pub(super) request: &'a Request,
    query: OnceCell<Query<'a>>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(request: &'a Request) -> Self {
        Self { request, query: OnceCell::new() }
    }

    fn query(&self) -> &Query<'a> {
        self.query.get_or_init(|| Query::parse(self.request.query().unwrap_or_default()))
    }
}

/// Why a rule is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The path is another.
    Path,
    /// The method is another.
    Method,
    /// This header field is missing or has another value.
    Header(Box<str>),
    /// This query parameter is missing or has another value.
    Query(Box<str>),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("the path does not match"),
            Self::Method => f.write_str("the method does not match"),
            Self::Header(name) => write!(f, "header `{name}` does not match"),
            Self::Query(name) => write!(f, "query parameter `{name}` does not match"),
        }
    }
}

impl Condition {
    pub(super) fn compile(wanted: &RequestMatch) -> Result<Self, PatternError> {
        Ok(Self {
            method: wanted.method.as_ref().map(|text| {
                Method::parse(text.as_bytes())
                    .unwrap_or_else(|| Method::Other(text.as_str().into()))
            }),
            headers: fields(&wanted.headers)?,
            query: fields(&wanted.query)?,
        })
    }

    /// What makes one of two rules for the same path come first: the smaller.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        (self.method.is_none(), usize::MAX - self.headers.len(), usize::MAX - self.query.len())
    }

    pub(super) fn check(&self, asked: &Asked<'_>) -> Result<(), Mismatch> {
        if self.method.as_ref().is_some_and(|method| *method != asked.request.method) {
            return Err(Mismatch::Method);
        }
        for field in &self.headers {
            if !asked.request.fields.all(&*field.name).any(|value| field.value.matches(value)) {
                return Err(Mismatch::Header(field.name.clone()));
            }
        }
        for field in &self.query {
            let value = asked.query().first(field.name.as_bytes());
            if !value.is_some_and(|value| field.value.matches(value)) {
                return Err(Mismatch::Query(field.name.clone()));
            }
        }
        Ok(())
    }
}

impl Value {
    fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => **text == *value,
            Self::Pattern(pattern) => pattern.matches(value),
            Self::Present => true,
        }
    }
}

fn fields(wanted: &[FieldMatch]) -> Result<Box<[Field]>, PatternError> {
    wanted.iter().map(field).collect()
}

fn field(wanted: &FieldMatch) -> Result<Field, PatternError> {
    let value = match &wanted.value {
        ValueMatch::Exact(text) => Value::Exact(text.as_bytes().into()),
        ValueMatch::Regex(text) => Value::Pattern(Pattern::new(text)?),
        ValueMatch::Present => Value::Present,
    };
    Ok(Field { name: wanted.name.as_str().into(), value })
}
