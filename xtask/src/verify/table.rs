//! What the loader reported, as rows and as a table.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The loader's words before and after its lines; see lb-verify.
const BEGIN: &str = "lb-verify: begin";
const END: &str = "lb-verify: end";

/// One program in one shape on one kernel; a number is absent where the kernel tells none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    kernel: String,
    shape: String,
    program: String,
    processed_count: Option<u64>,
    stack_bytes: Option<u64>,
    translated_bytes: Option<u64>,
    jited_bytes: Option<u64>,
    error: Option<String>,
}

/// The rows between the loader's marks; an error shows the end of what came instead.
pub(super) fn rows(console: &str) -> Result<Vec<Row>> {
    let report = console
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once(END))
        .map(|(report, _)| report)
        .with_context(|| format!("the loader did not come to its end:\n{}", tail(console)))?;
    let lines = report.lines().map(str::trim).filter(|line| !line.is_empty());
    let rows: Vec<Row> = lines.map(row).collect::<Result<_>>()?;
    if rows.is_empty() {
        bail!("the loader found no program");
    }
    Ok(rows)
}

/// A table with a heading, columns as wide as their contents, numbers to the right.
pub(super) fn render(rows: &[Row]) -> String {
    const HEADING: [&str; 8] =
        ["KERNEL", "SHAPE", "PROGRAM", "PROCESSED", "STACK B", "EBPF B", "JIT B", "RESULT"];
    const TEXT_COLUMNS: [usize; 4] = [0, 1, 2, 7];
    let mut lines = vec![HEADING.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let widths: [usize; 8] = std::array::from_fn(|column| {
        lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0)
    });
    let mut text = String::new();
    for line in &lines {
        let padded = line.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if TEXT_COLUMNS.contains(&column) {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Prints why programs did not load; gives back how many.
pub(super) fn print_failures(rows: &[Row]) -> usize {
    let mut failures_count = 0;
    for row in rows {
        if let Some(error) = &row.error {
            failures_count += 1;
            println!("\n{} ({}) on {}:\n{error}", row.program, row.shape, row.kernel);
        }
    }
    failures_count
}

fn row(line: &str) -> Result<Row> {
    let value: Value = serde_json::from_str(line)
        .with_context(|| format!("not a line of the loader's: {line}"))?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let required = |name: &str| text(name).with_context(|| format!("no {name}: {line}"));
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    Ok(Row {
        kernel: required("kernel")?,
        shape: required("shape")?,
        program: required("program")?,
        processed_count: number("processed_count"),
        stack_bytes: number("stack_bytes"),
        translated_bytes: number("translated_bytes"),
        jited_bytes: number("jited_bytes"),
        error: text("error"),
    })
}

fn cells(row: &Row) -> [String; 8] {
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |n| n.to_string());
    [
        row.kernel.clone(),
        row.shape.clone(),
        row.program.clone(),
        number(row.processed_count),
        number(row.stack_bytes),
        number(row.translated_bytes),
        number(row.jited_bytes),
        if row.error.is_none() { "loads" } else { "FAILS" }.to_owned(),
    ]
}

fn tail(console: &str) -> String {
    const LINES_MAX: usize = 20;
    let lines: Vec<&str> = console.lines().collect();
    lines.get(lines.len().saturating_sub(LINES_MAX)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "SeaBIOS\r\n\x1b[2Jlb-verify: begin\r\n\
        {\"kernel\":\"6.1\",\"shape\":\"default\",\"program\":\"lb_a\",\"processed_count\":16,\
         \"stack_bytes\":8,\"translated_bytes\":176,\"jited_bytes\":109,\"error\":null}\r\n\
        {\"kernel\":\"6.1\",\"shape\":\"default\",\"program\":\"lb_b\",\"processed_count\":null,\
         \"error\":\"no\"}\r\nlb-verify: end\r\nreboot: Power down\r\n";

    #[test]
    fn a_console_becomes_a_table() {
        let rows = rows(CONSOLE).unwrap();
        assert_eq!(
            render(&rows),
            "KERNEL  SHAPE    PROGRAM  PROCESSED  STACK B  EBPF B  JIT B  RESULT\n\
             6.1     default  lb_a            16        8     176    109  loads\n\
             6.1     default  lb_b             -        -       -      -  FAILS\n"
        );
        assert_eq!(print_failures(&rows), 1);
    }

    #[test]
    fn a_console_without_an_end_is_shown() {
        let error = rows("lb-verify: begin\nKernel panic\n").unwrap_err().to_string();
        assert!(error.ends_with("its end:\nlb-verify: begin\nKernel panic"), "{error}");
        let error = rows("lb-verify: begin\nlb-verify: end\n").unwrap_err().to_string();
        assert_eq!(error, "the loader found no program");
    }
}
