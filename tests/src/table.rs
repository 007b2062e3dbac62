//! The tables of the main README: what the comparison of the traces yields for each program, and
//! what the long runs do.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::figures::Figures;
use crate::fixes::{self, Row};
use crate::golden;
use crate::play::Stdout;
use crate::programs::PROGRAMS;
use crate::scene::{self, Parting};
use crate::trace::is_call;

const END: &str = "<!-- end of what cargo lab table writes -->\n";

/// The table of the calls, from the scenes, their goldens and the tables of fixes.
///
/// # Errors
///
/// If one of them cannot be read.
fn calls(root: &Path) -> Result<String> {
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
        (true, Parting::Defined { differs, then }) => {
            let mut calls: Vec<&str> = differs.iter().filter_map(|said| said.split(' ').next()).chain(then.iter().map(|(c, _)| c.as_str())).collect();
            calls.dedup();
            format!("`{}`", calls.join("`, `"))
        }
        (true, Parting::Undefined) => "not defined in C".to_owned(),
    };
    format!("{what} ({scene})")
}

/// The README with its tables as they are to be now.
///
/// # Errors
///
/// If it has no place for a table, or what a table is made of cannot be read.
pub fn renew(readme: &str, root: &Path) -> Result<String> {
    let readme = replace(readme, "calls", &calls(root)?)?;
    replace(&readme, "figures", &Figures::read(root)?.table())
}

fn replace(readme: &str, name: &str, table: &str) -> Result<String> {
    let begin = format!("<!-- {name}: written by cargo lab table -->\n");
    let (before, rest) = readme.split_once(&begin).with_context(|| format!("README.md: no line {}", begin.trim()))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("README.md: no line {}", END.trim()))?;
    Ok(format!("{before}{begin}{table}{END}{after}"))
}

/// Writes the tables into the main README.
///
/// # Errors
///
/// As [`renew`], or if the README cannot be read or written.
pub fn write(root: &Path) -> Result<()> {
    let path = root.join("README.md");
    let readme = fs::read_to_string(&path).context("cannot read README.md")?;
    fs::write(&path, renew(&readme, root)?).context("cannot write README.md")
}
