//! A small `bench`: each cell of its tables has a figure, and a ratio is that of the raw numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use libtest_mimic::Failed;
use tempfile::TempDir;

use crate::support;

/// The value of a number that is printed, and what is printed after it.
fn cell(text: &str) -> Option<(f64, &str)> {
    let (value, rest) = text.split_once(": ").unwrap_or((text, ""));
    Some((value.parse().ok()?, rest))
}

pub fn figures_are_there_and_ratios_are_theirs(programs: &Path) -> Result<(), Failed> {
    let out = TempDir::new()?;
    let folder = out.path().to_string_lossy();
    let mut command = support::command(env!("CARGO_BIN_EXE_trials"));
    command.args(["bench", "--quick", "udpserver", "transports", "--out", &folder, "--programs"]).arg(programs);
    let output = support::output(&mut command)?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{printed}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let mut raw: BTreeMap<[&str; 5], Vec<f64>> = BTreeMap::new();
    let text = fs::read_to_string(out.path().join("bench.tsv"))?;
    for line in text.lines().skip(2) {
        let [part, of, quantity, at, who, _, value] = line.split('\t').collect::<Vec<_>>()[..] else { return Err(format!("not seven columns: {line}").into()) };
        raw.entry([part, of, quantity, at, who]).or_default().push(value.parse()?);
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.
    };
    let (mut head, mut checked): (Vec<&str>, usize) = (Vec::new(), 0);
    for line in printed.lines() {
        let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").collect();
        if line.starts_with("|---") {
            continue;
        }
        if cells.len() < 4 {
            head.clear();
            continue;
        }
        if head.is_empty() {
            head = cells;
            continue;
        }
        for (column, text) in cells.iter().enumerate().skip(1) {
            let of = if head[0].starts_with("udp") {
                ["programs", head[0], cells[0], "0", head[column]]
            } else {
                ["transports", head[0].trim_end_matches(", µs"), "time, µs", head[column].trim_end_matches(" bytes"), cells[0]]
            };
            let mut reference = of;
            reference[4] = if of[0] == "programs" { "port" } else { "UDP" };
            let values = raw.get(&of).filter(|values| values.iter().all(|value| *value > 0.)).ok_or(format!("no raw numbers of {of:?}"))?;
            let (value, ratio) = cell(text).ok_or(format!("no figure of {of:?}: {text}"))?;
            let expected = median(values.clone());
            if (value - expected).abs() > 0.006 * expected.max(1.) {
                return Err(format!("{of:?}: {value} is printed, and {expected} the median").into());
            }
            let expected = median(values.iter().zip(&raw[&reference]).map(|(value, other)| value / other).collect());
            let mut numbers = ratio.split(['(', ')', '–', ' ']).filter_map(|word| word.parse::<f64>().ok());
            let (low, high) = match (ratio.starts_with("same"), of == reference) {
                (_, true) => (expected, expected),
                (true, _) => (numbers.next().unwrap_or(1.), numbers.next().unwrap_or(1.)),
                (false, _) => (numbers.next().unwrap_or_default(), ratio.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()),
            };
            if !(low - 0.006..=high + 0.006).contains(&expected) {
                return Err(format!("{of:?}: the ratio {ratio} is printed, and the pairs' is {expected}").into());
            }
            checked += 1;
        }
    }
    // 9 transports at 5 sizes in 2 directions; and 12 quantities of port, std and tokio.
    if checked < 90 + 36 {
        return Err(format!("only {checked} figures in\n{printed}").into());
    }
    for picture in ["programs.svg", "transports.svg"] {
        let text = fs::read_to_string(out.path().join(picture))?;
        if !text.starts_with("<svg") || text.len() > 60_000 {
            return Err(format!("{picture} is no small picture: {} bytes", text.len()).into());
        }
    }
    Ok(())
}
