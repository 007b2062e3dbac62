//! A small `bench`: each cell of its tables has a figure, and a ratio is that of the raw numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::support;

pub fn figures_are_there_and_ratios_are_theirs(programs: &Path) -> Result<()> {
    let out = TempDir::new()?;
    let mut command = support::command(env!("CARGO_BIN_EXE_trials"));
    command.args(["bench", "--quick", "udpserver", "transports", "--programs"]).arg(programs).arg("--out").arg(out.path());
    let output = support::output(&mut command)?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let mut raw: BTreeMap<[&str; 5], Vec<f64>> = BTreeMap::new();
    let text = fs::read_to_string(out.path().join("bench.tsv"))?;
    for line in text.lines().skip(2) {
        let [part, of, quantity, at, who, _, value] = line.split('\t').collect::<Vec<_>>()[..] else { bail!("not seven columns: {line}") };
        raw.entry([part, of, quantity, at, who]).or_default().push(value.parse()?);
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.
    };
    let mut checked = 0;
    for table in printed.split("\n\n").filter(|block| block.starts_with("| ")) {
        let rows = table.lines().filter(|line| !line.starts_with("|---"));
        let rows: Vec<Vec<&str>> = rows.map(|line| line.trim_matches(['|', ' ']).split(" | ").collect()).collect();
        let head = &rows[0];
        for (cells, column) in rows[1..].iter().flat_map(|cells| (1..cells.len()).map(move |column| (cells, column))) {
            let of = match head[0].split_once(", µs") {
                None => ["programs", head[0], cells[0], "0", head[column]],
                Some((direction, _)) => ["transports", direction, "time, µs", head[column].trim_end_matches(" bytes"), cells[0]],
            };
            let mut reference = of;
            reference[4] = if of[0] == "programs" { "port" } else { "UDP" };
            let values = raw.get(&of).filter(|values| values.iter().all(|value| *value > 0.));
            let values = values.with_context(|| format!("no raw numbers of {of:?}"))?;
            let (value, ratio) = cells[column].split_once(": ").unwrap_or((cells[column], ""));
            let value: f64 = value.parse().with_context(|| format!("no figure of {of:?}: {value}"))?;
            let expected = median(values.clone());
            ensure!((value - expected).abs() <= 0.006 * expected.max(1.), "{of:?}: {value} is printed, and {expected} the median");
            if of != reference {
                let expected = median(values.iter().zip(&raw[&reference]).map(|(value, other)| value / other).collect());
                let numbers: Vec<f64> = ratio.split(['(', ')', '–', ' ']).filter_map(|word| word.parse().ok()).collect();
                // A ratio that is not the same has itself before its quartiles; quartiles that are alike are left out.
                let (low, high) = match numbers[..] {
                    [] if ratio == "same" => (1., 1.),
                    [low, high] if ratio.starts_with("same") => (low, high),
                    [ratio] | [ratio, _, _] => (ratio, ratio),
                    _ => bail!("no ratio of {of:?}: {ratio}"),
                };
                ensure!((low - 0.006..=high + 0.006).contains(&expected), "{of:?}: the ratio {ratio} is printed, and the pairs' is {expected}");
            }
            checked += 1;
        }
    }
    // 9 transports at 5 sizes in 2 directions; and 12 quantities of port, std and tokio.
    ensure!(checked >= 90 + 36, "only {checked} figures in\n{printed}");
    for picture in ["programs.svg", "transports.svg"] {
        let text = fs::read_to_string(out.path().join(picture))?;
        ensure!(text.starts_with("<svg") && text.len() <= 60_000, "{picture} is no small picture: {} bytes", text.len());
    }
    Ok(())
}
