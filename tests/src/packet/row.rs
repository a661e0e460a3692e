//! Rows and the runner: description, state, packets in, and all that must follow from each.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::{Mutex, OnceLock, PoisonError},
};

use anyhow::{Context as _, Result};

use super::{
    build::Frame,
    check::differences,
    delta::{Delta, compare, moved},
    kernel::{Kernel, Ran, Shape, Verdict},
    machine::Machine,
    memory::Memory,
    stage::CLIENT_SIDE,
    state::State,
    stored::Stored,
};

/// What the frame must be afterwards.
#[derive(Clone)]
pub enum Output {
    /// As it came in.
    Untouched,
    /// This.
    Frame(Box<Frame>),
    /// Something of which this holds; the error says what is wrong.
    Such(fn(frame_in: &[u8], frame_out: &[u8]) -> Result<(), String>),
}

/// One packet of a row.
#[derive(Clone)]
pub struct Step {
    input: Frame,
    ifindex: u32,
    verdict: Verdict,
    output: Output,
    delta: Delta,
    stores: Vec<Stored>,
    forgets: Vec<Stored>,
}

/// One row.
#[derive(Clone)]
pub struct Row {
    description: String,
    state: State,
    steps: Vec<Step>,
}

impl Row {
    /// A row with this description that starts from `state`.
    pub fn new(description: impl Into<String>, state: State) -> Self {
        Self { description: description.into(), state, steps: Vec::new() }
    }

    /// A packet passes to the host's stack as it came.
    #[must_use]
    pub fn passes(self, input: Frame, delta: Delta) -> Self {
        self.step(input, Verdict::Pass, Output::Untouched, delta)
    }

    /// A packet is dropped.
    #[must_use]
    pub fn drops(self, input: Frame, delta: Delta) -> Self {
        self.step(input, Verdict::Drop, Output::Untouched, delta)
    }

    /// A packet leaves through another interface, looking like `output`.
    #[must_use]
    pub fn redirects(self, input: Frame, output: Frame, delta: Delta) -> Self {
        self.step(input, Verdict::Redirect, Output::Frame(Box::new(output)), delta)
    }

    /// A packet leaves where it came from, looking like `output`.
    #[must_use]
    pub fn transmits(self, input: Frame, output: Frame, delta: Delta) -> Self {
        self.step(input, Verdict::Tx, Output::Frame(Box::new(output)), delta)
    }

    /// The program itself answers: `output` goes back where the packet came from. It is redirected
    /// there, because a veth sends what `XDP_TX` returns only if its peer has a program too.
    #[must_use]
    pub fn answers(self, input: Frame, output: Frame, delta: Delta) -> Self {
        self.step(input, Verdict::Redirect, Output::Frame(Box::new(output)), delta)
    }

    /// Any other combination.
    #[must_use]
    pub fn step(mut self, input: Frame, verdict: Verdict, output: Output, delta: Delta) -> Self {
        let (stores, forgets) = (Vec::new(), Vec::new());
        self.steps.push(Step {
            input,
            ifindex: CLIENT_SIDE,
            verdict,
            output,
            delta,
            stores,
            forgets,
        });
        self
    }

    /// The last packet adds this entry to the tables, or replaces one of the same key.
    #[must_use]
    pub fn stores(mut self, entry: Stored) -> Self {
        if let Some(step) = self.steps.last_mut() {
            step.stores.push(entry);
        }
        self
    }

    /// The last packet removes or replaces this entry.
    #[must_use]
    pub fn forgets(mut self, entry: Stored) -> Self {
        if let Some(step) = self.steps.last_mut() {
            step.forgets.push(entry);
        }
        self
    }

    /// The last packet comes in on this interface instead of the client's.
    #[must_use]
    pub fn arrives_at(mut self, ifindex: u32) -> Self {
        if let Some(step) = self.steps.last_mut() {
            step.ifindex = ifindex;
        }
        self
    }
}

/// Runs a table: every row from its own state, all of them even if some fail.
///
/// # Panics
///
/// If a row fails; the message names each of them and what was not as it should be.
pub fn run(rows: &[Row]) {
    println!("{} rows", rows.len());
    on_each_machine(|place, machine| run_on(machine, place, rows));
}

/// Runs a test in memory, then in the kernel; the test gets the name of the place.
///
/// # Panics
///
/// If the program does not load, and whenever the test does.
pub fn on_each_machine(mut test: impl FnMut(&str, &mut dyn Machine)) {
    // Loading takes a while: once a process, even if it fails. A failed row leaves the program as
    // good as before.
    static KERNEL: OnceLock<Mutex<Result<Kernel>>> = OnceLock::new();
    let shape = Shape::default();
    test("in memory", &mut Memory::new(&shape));
    let kernel = KERNEL.get_or_init(|| Mutex::new(Kernel::load(&shape)));
    let mut kernel = kernel.lock().unwrap_or_else(PoisonError::into_inner);
    let kernel = match kernel.as_mut() {
        Ok(kernel) => kernel,
        Err(error) => panic!("the program does not load: {}", tail(&format!("{error:?}"))),
    };
    kernel.enter().expect("the namespace of the stage");
    test("in the kernel", kernel);
}

/// The end of a verifier's log, which says what is wrong.
fn tail(text: &str) -> &str {
    const SHOWN: usize = 4_000;
    let from = text.len().saturating_sub(SHOWN);
    text.get(from..).unwrap_or(text)
}

fn run_on(machine: &mut dyn Machine, place: &str, rows: &[Row]) {
    let mut report = String::new();
    let mut failed = 0;
    for row in rows {
        let wrong = run_row(machine, row).unwrap_or_else(|error| format!("    {error:#}\n"));
        if !wrong.is_empty() {
            failed += 1;
            writeln!(report, "\n* {}\n{}", row.description, wrong.trim_end()).expect("to a string");
        }
    }
    assert!(failed == 0, "{place}, {failed} of {} rows failed:\n{report}", rows.len());
}

fn run_row(machine: &mut dyn Machine, row: &Row) -> Result<String> {
    machine.set(&row.state)?;
    let mut wrong = String::new();
    for (index, step) in row.steps.iter().enumerate() {
        let text = run_step(machine, step)?;
        if !text.is_empty() {
            if row.steps.len() > 1 {
                writeln!(wrong, "    packet {} of {}:", index + 1, row.steps.len())?;
            }
            wrong.push_str(&text);
        }
    }
    Ok(wrong)
}

fn run_step(machine: &mut dyn Machine, step: &Step) -> Result<String> {
    let frame = step.input.bytes();
    let mut wrong = String::new();
    let (counters, stored) = (machine.counters()?, lines(&machine.stored()?));

    let traced = machine.trace(&frame, step.ifindex).context("trace")?;
    let traced_moves = moved(&counters, &machine.counters()?);
    if !traced_moves.is_empty() {
        writeln!(wrong, "    the trace moved counters: {traced_moves:?}")?;
    }
    compare_tables(&mut wrong, "after the trace ", &stored, &lines(&machine.stored()?))?;

    let ran = machine.run(&frame, step.ifindex).context("run")?;
    if ran.verdict != step.verdict {
        writeln!(wrong, "    verdict: expected {:?}, was {:?}", step.verdict, ran.verdict)?;
    }
    wrong.push_str(&compare_output(step, &frame, &ran));
    if let Some(traced) = traced
        && (ran.verdict != traced.verdict || ran.frame != traced.frame)
    {
        writeln!(wrong, "    the trace showed otherwise: {:?}", traced.verdict)?;
        wrong.push_str(&differences(&ran.frame, &traced.frame));
    }
    let moves = moved(&counters, &machine.counters()?);
    wrong.push_str(&compare(&step.delta.figures(frame.len()), &moves));

    let mut expected = stored;
    for entry in &step.forgets {
        expected.remove(&entry.to_string());
    }
    expected.extend(step.stores.iter().map(ToString::to_string));
    compare_tables(&mut wrong, "", &expected, &lines(&machine.stored()?))?;
    Ok(wrong)
}

fn compare_output(step: &Step, frame: &[u8], ran: &Ran) -> String {
    match &step.output {
        // What a dropped packet looks like concerns nobody.
        Output::Untouched if ran.verdict == Verdict::Drop => String::new(),
        Output::Untouched => differences(frame, &ran.frame),
        Output::Frame(expected) => {
            let expected = expected.as_ref().clone().with_spread_of(&ran.frame);
            differences(&expected.bytes(), &ran.frame)
        }
        Output::Such(holds) => {
            holds(frame, &ran.frame).err().map_or_else(String::new, |why| format!("    {why}\n"))
        }
    }
}

fn compare_tables(
    text: &mut String,
    when: &str,
    expected: &BTreeSet<String>,
    actual: &BTreeSet<String>,
) -> Result<()> {
    for line in expected.difference(actual) {
        writeln!(text, "    {when}missing: {line}")?;
    }
    for line in actual.difference(expected) {
        writeln!(text, "    {when}unexpected: {line}")?;
    }
    Ok(())
}

fn lines(stored: &[Stored]) -> BTreeSet<String> {
    stored.iter().map(ToString::to_string).collect()
}
