//! Regular expressions: the proxy must be able to compile what is lowered.

use super::fault::Fault;
use regex_automata::{nfa::thompson, util::syntax};

/// Bytes of an expression's text, at most (Gateway API, `HTTPPathMatch.value`), and of what it is
/// compiled to. The proxy has the same limits.
const TEXT_BYTES_MAX: usize = 1_024;
const PROGRAM_BYTES_MAX: usize = 256 * 1_024;

/// An expression (RE2 syntax, linear time) that can be compiled.
pub(super) fn pattern(text: String) -> Result<String, Fault> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Fault::value(format!("an expression is longer than {TEXT_BYTES_MAX} bytes")));
    }
    let config = thompson::Config::new().utf8(false).nfa_size_limit(Some(PROGRAM_BYTES_MAX));
    let built = thompson::Compiler::new()
        .configure(config)
        .syntax(syntax::Config::new().utf8(false))
        .build(&text);
    match built {
        Ok(_) => Ok(text),
        Err(_) => Err(Fault::value(format!("`{text}` is not a usable expression (RE2 syntax)"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_proxy_could_not_compile_is_refused() {
        assert_eq!(pattern("/v[0-9]+/.*".to_owned()), Ok("/v[0-9]+/.*".to_owned()));
        for text in ["(", "a)|(b", r"(a)\1", "(?=a)", r"(\pL{100}){1000}"] {
            assert!(pattern(text.to_owned()).is_err(), "{text}");
        }
        assert!(pattern("a".repeat(TEXT_BYTES_MAX + 1)).is_err());
    }
}
