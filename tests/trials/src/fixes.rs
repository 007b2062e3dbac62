//! The marks of the fixes in the ports, and the tables in the groups' FIXES.md.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use lab::programs::GROUPS;

/// A line of a port that departs from C.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fix {
    pub program: String,
    /// Counted from 1.
    pub line: usize,
    /// What follows `fix:` in the source, or what `check` or `uninterrupted` is for.
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
    /// The scenes that the test cell links to: `[name](#heading), [name](README.md#heading)`.
    pub fn scenes(&self) -> Vec<&str> {
        let links = self.test.split(", ").filter_map(|link| link.strip_prefix('[')?.split_once("]("));
        links.filter(|(_, to)| to.contains('#')).map(|(name, _)| name).collect()
    }
}

/// The marks in the text of a program's source: the comments `// fix: NAME` or `// fix: NAME; NAME`, and the
/// calls of `check` and `uninterrupted`, which are their own marks.
///
/// # Errors
///
/// If a `check` says nothing of what it checks.
pub fn marks(program: &str, source: &str) -> Result<Vec<Fix>> {
    let mut fixes = Vec::new();
    for (line, number) in source.lines().zip(1..) {
        let mut names: Vec<String> = Vec::new();
        let (code, comment) = line.split_once("// fix: ").map_or((line, None), |(code, comment)| (code, Some(comment)));
        names.extend(comment.into_iter().flat_map(|comment| comment.split("; ").map(str::to_owned)));
        if code.contains("check(fits_sun_path(") {
            names.push("path past sun_path".to_owned());
        } else if code.contains("check(") {
            let call = code.rsplit_once(", c\"").and_then(|(_, message)| message.split_once(" failed\")"));
            let (call, _) = call.with_context(|| format!("{program}:{number}: a check says 'CALL failed'"))?;
            names.push(format!("unchecked {call}"));
        }
        if code.contains("uninterrupted(") {
            names.push("handler's printf inside printf".to_owned());
        }
        fixes.extend(names.into_iter().map(|name| Fix { program: program.to_owned(), line: number, name }));
    }
    Ok(fixes)
}

/// The rows of all tables: those under the head `| fix | where | ...`.
///
/// # Errors
///
/// If a FIXES.md cannot be read, or a row has not six cells or a place that is not PROGRAM:LINE.
pub fn rows(root: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for group in GROUPS {
        let file = Path::new(group).join("FIXES.md");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> Vec<(usize, String)> {
        marks("p", source).unwrap().into_iter().map(|fix| (fix.line, fix.name)).collect()
    }

    #[test]
    fn comments_checks_and_what_is_uninterrupted_are_marks() {
        let is = |source: &str, line: usize, name: &str| assert_eq!(names(source), [(line, name.to_owned())], "{source}");
        is("\nlet n: ssize_t; // fix: was int", 2, "was int");
        is("check(bind(fd, sa(&a), sizeof(&a)), c\"bind failed\");", 1, "unchecked bind");
        is("strcpy(p, check(fits_sun_path(p), c\"local_path too long\"));", 1, "path past sun_path");
        is("uninterrupted(|| exit(0))", 1, "handler's printf inside printf");
        assert_eq!(names("// fix: one; two").len(), 2);
        assert_eq!(names("// No fix here.\nlet n = 0; // a comment"), []);
        assert!(marks("p", "check(n, c\"too bad\");").is_err());
    }

    #[test]
    fn a_test_is_a_link_to_a_scene() {
        let row = |test: &str| Row { fixes: Vec::new(), port: String::new(), test: test.to_owned() };
        assert_eq!(row("[a](#b), [c](README.md#d)").scenes(), ["a", "c"]);
        assert_eq!(row("`cargo trials faults`").scenes(), [""; 0]);
    }
}
