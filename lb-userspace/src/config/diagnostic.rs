//! What is wrong with a file, told the way rustc does: message, place, excerpt, hint.

use serde::Serialize;
use std::fmt;

/// Diagnostics shown for one file; the rest is only counted.
pub const DIAGNOSTICS_MAX: usize = 100;

/// Characters of a source line shown; a longer one is cut around the caret.
const EXCERPT_CHARS_MAX: usize = 160;

/// Characters of a message or hint; a longer one (it quotes the file) is cut.
const TEXT_CHARS_MAX: usize = 600;

/// Everything that is wrong with, or worth a warning in, one file; in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    #[serde(skip)]
    omitted_count: usize,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// Name of the file as the caller gave it.
    pub file: String,
    /// Line, from 1; `None` = the file as a whole.
    pub line: Option<u32>,
    /// Column in characters, from 1.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What to write instead, or why the rule exists.
    pub hint: Option<String>,
    #[serde(skip)]
    excerpt: Option<Excerpt>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken.
    Warning,
}

impl Diagnostics {
    /// The findings, at most [`DIAGNOSTICS_MAX`].
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Findings left out of [`Self::iter`] because there were too many.
    pub const fn omitted_count(&self) -> usize {
        self.omitted_count
    }

    /// Whether there is nothing to say.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the file is refused.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

impl std::error::Error for Diagnostics {}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            diagnostic.fmt(f)?;
        }
        if self.omitted_count > 0 {
            writeln!(f, "\n... and {} more", self.omitted_count)?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.severity, self.message)?;
        let (Some(line), Some(column)) = (self.line, self.column) else {
            writeln!(f, " --> {}", self.file)?;
            return self.hint.as_ref().map_or(Ok(()), |hint| writeln!(f, "  = hint: {hint}"));
        };
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{margin}--> {}:{line}:{column}", self.file)?;
        if let Some(excerpt) = &self.excerpt {
            let (skip, carets) = (" ".repeat(excerpt.skip), "^".repeat(excerpt.carets));
            writeln!(f, "{margin} |")?;
            writeln!(f, "{number} | {}", excerpt.text)?;
            writeln!(f, "{margin} | {skip}{carets}")?;
        }
        if let Some(hint) = &self.hint {
            if self.excerpt.is_some() {
                writeln!(f, "{margin} |")?;
            }
            writeln!(f, "{margin} = hint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// Line, from 1; 0 = the file as a whole.
    pub(super) line: u32,
    /// Column in characters, from 1.
    pub(super) column: u32,
    /// Characters that the value spans; it may go on over several lines.
    pub(super) length: u32,
}

impl From<serde_saphyr::Location> for Position {
    fn from(location: serde_saphyr::Location) -> Self {
        let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Self {
            line: small(location.line()),
            column: small(location.column()),
            length: small(location.span().len()),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Collects findings while a file is read.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
}

#[derive(Debug)]
struct Finding {
    severity: Severity,
    at: Position,
    message: String,
    hint: Option<String>,
}

impl Report {
    /// The file is refused because of what stands at `at`.
    pub(super) fn error(
        &mut self,
        at: Position,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Severity::Error, at, message.into(), hint.into());
    }

    /// The file is taken, but its author should know.
    pub(super) fn warning(
        &mut self,
        at: Position,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Severity::Warning, at, message.into(), hint.into());
    }

    /// Turns the findings into diagnostics with excerpts of `text`, in file order.
    pub(super) fn finish(mut self, name: &str, text: &str) -> Diagnostics {
        self.findings.sort_by_key(|finding| (finding.at.line, finding.at.column));
        // Errors must not be crowded out by warnings.
        let found_count = self.findings.len();
        let errors = self.findings.iter().filter(|f| f.severity == Severity::Error).count();
        let mut warnings_left = DIAGNOSTICS_MAX.saturating_sub(errors);
        self.findings.retain(|finding| match finding.severity {
            Severity::Error => true,
            Severity::Warning => {
                let shown = warnings_left > 0;
                warnings_left = warnings_left.saturating_sub(1);
                shown
            }
        });
        self.findings.truncate(DIAGNOSTICS_MAX);
        let omitted_count = found_count.saturating_sub(self.findings.len());
        let lines = if self.findings.is_empty() { Vec::new() } else { source_lines(text) };
        let list = self.findings.into_iter().map(|finding| finding.show(name, &lines)).collect();
        Diagnostics { list, omitted_count }
    }

    fn add(&mut self, severity: Severity, at: Position, message: String, hint: String) {
        let hint = (!hint.is_empty()).then_some(hint);
        self.findings.push(Finding { severity, at, message, hint });
    }
}

impl Finding {
    fn show(self, name: &str, lines: &[&str]) -> Diagnostic {
        let placed = self.at.line > 0;
        let line = usize::try_from(self.at.line).ok().and_then(|line| line.checked_sub(1));
        Diagnostic {
            severity: self.severity,
            file: printable(name),
            line: placed.then_some(self.at.line),
            column: placed.then_some(self.at.column),
            message: printable(&self.message),
            hint: self.hint.as_deref().map(printable),
            excerpt: line.and_then(|line| lines.get(line)).map(|text| Excerpt::new(text, self.at)),
        }
    }
}

/// A source line with what to underline.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    /// Characters before the carets.
    skip: usize,
    carets: usize,
}

impl Excerpt {
    fn new(line: &str, at: Position) -> Self {
        let length = line.chars().count();
        let start = (at.column.saturating_sub(1) as usize).min(length);
        let carets = (at.length as usize).min(length.saturating_sub(start)).max(1);
        if length <= EXCERPT_CHARS_MAX {
            return Self { text: line.chars().map(one_column).collect(), skip: start, carets };
        }
        // Half of the room before the caret, the rest after it.
        let first = start.saturating_sub(EXCERPT_CHARS_MAX / 2);
        let shown = line.chars().skip(first).take(EXCERPT_CHARS_MAX).map(one_column);
        let (before, after) = (
            if first > 0 { "... " } else { "" },
            if first + EXCERPT_CHARS_MAX < length { " ..." } else { "" },
        );
        let skip = start - first;
        Self {
            text: before.chars().chain(shown).chain(after.chars()).collect(),
            skip: skip + before.len(),
            carets: carets.min(EXCERPT_CHARS_MAX - skip),
        }
    }
}

/// Lines as YAML counts them: LF, CRLF and a lone CR end one; a byte-order mark is not text.
fn source_lines(text: &str) -> Vec<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
        .map(str::trim_end)
        .collect()
}

/// A character that takes one column and cannot steer a terminal.
fn one_column(character: char) -> char {
    match character {
        '\t' => ' ',
        character if steers(character) => '\u{fffd}',
        character => character,
    }
}

/// Text that quotes a file, made safe to print and short enough to read.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(TEXT_CHARS_MAX));
    for (index, character) in text.chars().enumerate() {
        if index == TEXT_CHARS_MAX {
            shown.push_str("...");
            break;
        }
        if steers(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Control characters, and the invisible ones that reorder or break lines.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, at: Position) -> String {
        let mut report = Report::default();
        report.error(at, "bad", "good");
        report.finish("f.yaml", text).to_string()
    }

    #[test]
    fn looks_like_rustc() {
        let text = "a: 1\nbb: two\n";
        assert_eq!(
            shown(text, Position { line: 2, column: 5, length: 3 }),
            "error: bad\n --> f.yaml:2:5\n  |\n2 | bb: two\n  |     ^^^\n  |\n  = hint: good\n"
        );
        assert_eq!(shown(text, Position::default()), "error: bad\n --> f.yaml\n  = hint: good\n");
    }

    #[test]
    fn a_span_over_lines_is_underlined_on_its_first() {
        let shown = shown("ab: {\n}\n", Position { line: 1, column: 5, length: 3 });
        assert!(shown.contains("\n  |     ^\n"), "{shown}");
    }

    #[test]
    fn places_beyond_the_text_are_harmless() {
        for line in [0, 1, 2, 99, u32::MAX] {
            for column in [0, 1, 99, u32::MAX] {
                for text in ["", "a", "\u{feff}a\r\rb\r\n"] {
                    assert!(
                        shown(text, Position { line, column, length: u32::MAX }).contains("bad")
                    );
                }
            }
        }
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(1000), "b".repeat(1000));
        let shown = shown(&text, Position { line: 1, column: 1001, length: 1 });
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[3].find('X'), lines[4].find('^'));
        assert!(lines[3].len() < 200, "{}", lines[3].len());
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let mut report = Report::default();
        report.error(Position { line: 1, column: 1, length: 1 }, "\u{1b}[31m\u{202e}", "\u{7}");
        let shown = report.finish("\u{1b}", "\u{1b}[0m\tx\u{202e}").to_string();
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\t', '\u{202e}']), "{shown:?}");
    }

    #[test]
    fn too_many_are_counted_and_errors_come_first() {
        let mut report = Report::default();
        for line in 1..=DIAGNOSTICS_MAX as u32 {
            let at = Position { line, column: 1, length: 1 };
            report.warning(at, "meh", "");
            report.error(at, "bad", "");
        }
        report.error(Position::default(), "bad", "");
        let diagnostics = report.finish("f", "");
        assert_eq!(diagnostics.iter().count(), DIAGNOSTICS_MAX);
        assert!(diagnostics.iter().all(|d| d.severity == Severity::Error));
        assert_eq!(diagnostics.omitted_count(), DIAGNOSTICS_MAX + 1);
        assert!(diagnostics.to_string().ends_with("... and 101 more\n"));
    }

    #[test]
    fn an_error_behind_many_warnings_is_still_one() {
        let mut report = Report::default();
        for line in 1..=2 * DIAGNOSTICS_MAX as u32 {
            report.warning(Position { line, column: 1, length: 1 }, "meh", "");
        }
        report.error(Position { line: 1_000, column: 1, length: 1 }, "bad", "");
        let diagnostics = report.finish("f", "");
        assert!(diagnostics.has_errors());
        assert_eq!(diagnostics.iter().count(), DIAGNOSTICS_MAX);
        assert_eq!(diagnostics.omitted_count(), DIAGNOSTICS_MAX + 1);
    }
}
