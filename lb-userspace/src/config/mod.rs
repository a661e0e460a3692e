//! The file source: a YAML file becomes a [`Desired`](crate::model::Desired), or diagnostics that
//! say where and why not.
//!
//! `schema` is the syntax, `lower` gives it meaning, `watch` notices that the file changed.

mod diagnostic;
mod files;
mod load;
mod located;
mod lower;
mod schema;
mod syntax;
mod watch;

pub use diagnostic::{DIAGNOSTICS_MAX, Diagnostic, Diagnostics, Severity};
pub use files::Referred;
pub use load::{CONFIG_BYTES_MAX, Checked, check, check_file, check_in, load, parse};
pub use watch::{FileEvent, watch};

/// JSON Schema of the file, for editors. It knows keys and types; the rest is checked by
/// [`check`].
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(schema::File).to_value()
}
