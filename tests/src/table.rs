//! The table of the main README: what the comparison of the traces yields for each program.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::fixes::{self, Row};
use crate::golden;
use crate::play::Stdout;
use crate::programs::PROGRAMS;
use crate::scene::{self, Parting};
use crate::trace::is_call;

const BEGIN: &str = "<!-- written by cargo lab table -->\n";
const END: &str = "<!-- end of what cargo lab table writes -->\n";

/// The table, from the scenes, their goldens and the tables of fixes.
///
/// # Errors
///
/// If one of them cannot be read.
pub fn text(root: &Path) -> Result<String> {
    let scenes = scene::read_all(root)?;
    let rows = fixes::rows(root)?;
    let mut table = "| program | scenes | runs | calls | calls that differ from C's |\n|---|--:|--:|--:|---|\n".to_owned();
    let mut sum = (0, 0);
    for program in &PROGRAMS {
        let (mut runs, mut calls, mut differ) = (0, 0, Vec::<String>::new());
        let of_program: Vec<_> = scenes.iter().filter(|scene| scene.programs().contains(&program.name)).collect();
        for scene in &of_program {
            let traces = golden::read(&golden::path(root, &scene.name, Stdout::Terminal))?;
            for trace in traces.iter().filter(|trace| trace.program == program.name) {
                runs += 1;
                calls += trace.lines.iter().filter(|line| is_call(line)).count();
                // Not defined in C, and the same all the same.
                let is_same = |parting: &&Parting| **parting == Parting::Undefined && !trace.lines.is_empty();
                differ.extend(scene.parting(&trace.who).filter(|parting| !is_same(parting)).map(|parting| difference(&rows, program.name, &scene.name, parting)));
            }
        }
        differ.dedup();
        let differ = if differ.is_empty() { "0".to_owned() } else { differ.join("; ") };
        writeln!(table, "| {} | {} | {runs} | {calls} | {differ} |", program.name, of_program.len())?;
        sum = (sum.0 + runs, sum.1 + calls);
    }
    writeln!(table, "| all | {} | {} | {} | |", scenes.len(), sum.0, sum.1)?;
    Ok(table)
}

/// "unchecked bind (port-taken)": the fixes that the scene shows, or else the call.
fn difference(rows: &[Row], program: &str, scene: &str, parting: &Parting) -> String {
    let shown = rows.iter().filter(|row| row.scenes().contains(&scene)).flat_map(|row| &row.fixes).filter(|fix| fix.program == program);
    let mut names: Vec<&str> = shown.map(|fix| fix.name.as_str()).collect();
    names.dedup();
    let what = match (names.is_empty(), parting) {
        (false, _) => names.join(", "),
        (true, Parting::Calls { c, .. }) => format!("`{c}`"),
        (true, Parting::Differs { calls }) => format!("`{}`", calls.join("`, `")),
        (true, Parting::Undefined) => "not defined in C".to_owned(),
    };
    format!("{what} ({scene})")
}

/// The README with its table replaced by this one.
///
/// # Errors
///
/// If it has no place for a table.
pub fn replace(readme: &str, table: &str) -> Result<String> {
    let (before, rest) = readme.split_once(BEGIN).with_context(|| format!("no line {}", BEGIN.trim()))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("no line {}", END.trim()))?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

/// Writes the table into the main README.
///
/// # Errors
///
/// As [`text`] and [`replace`], or if the README cannot be written.
pub fn write(root: &Path) -> Result<()> {
    let path = root.join("README.md");
    let readme = fs::read_to_string(&path).context("cannot read README.md")?;
    fs::write(&path, replace(&readme, &text(root)?)?).context("cannot write README.md")
}
