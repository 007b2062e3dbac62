//! The tables of fixes in the groups' READMEs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use lab::programs::GROUPS;

/// A line of a port that does otherwise than C.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fix {
    pub program: String,
    /// Counted from 1.
    pub line: usize,
    /// What stands behind `fix:` in the source.
    pub name: String,
}

/// A row of a table of fixes: the same fix, at one place or some.
pub struct Row {
    pub fixes: Vec<Fix>,
    /// The cell that says what the port does instead.
    pub port: String,
    /// The cell that names the test.
    pub test: String,
}

impl Row {
    /// The scenes that the test cell links to: `[name](#heading), [name](#heading)`.
    pub fn scenes(&self) -> Vec<&str> {
        self.test.split(", ").filter_map(|link| Some(link.strip_prefix('[')?.split_once("](#")?.0)).collect()
    }
}

/// The rows of all tables: those under the head `| fix | where | ...`.
///
/// # Errors
///
/// If a README cannot be read, or a row has not six cells or a place that is not PROGRAM:LINE.
pub fn rows(root: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for group in GROUPS {
        let file = Path::new(group).join("README.md");
        let text = fs::read_to_string(root.join(&file)).with_context(|| format!("cannot read {}", file.display()))?;
        let table = text.lines().skip_while(|line| !line.starts_with("| fix | where |")).skip(2).take_while(|line| line.starts_with('|'));
        for line in table {
            rows.push(row(line).with_context(|| format!("{}: {line}", file.display()))?);
        }
    }
    Ok(rows)
}

fn row(line: &str) -> Result<Row> {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    ensure!(cells.len() == 6, "a row of a table of fixes has six cells");
    let fix = |place: &str| -> Result<Fix> {
        let (program, line) = place.split_once(':').with_context(|| format!("'{place}' is not PROGRAM:LINE"))?;
        Ok(Fix { program: program.to_owned(), line: line.parse().with_context(|| format!("'{place}' is not PROGRAM:LINE"))?, name: cells[0].to_owned() })
    };
    Ok(Row { fixes: cells[1].split(", ").map(fix).collect::<Result<_>>()?, port: cells[4].to_owned(), test: cells[5].to_owned() })
}
