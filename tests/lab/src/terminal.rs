//! The terminal that `lab` itself writes to.

use nix::libc;

/// The columns that a text takes; a Chinese character takes two.
pub fn columns(text: &str) -> usize {
    text.chars().map(|c| if c < '\u{2e80}' { 1 } else { 2 }).sum()
}

/// The columns of the terminal that standard output is; none if it is no terminal.
pub fn width() -> Option<usize> {
    // SAFETY: the struct is valid when zeroed, and the ioctl writes it alone.
    unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        let is_terminal = libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) == 0;
        is_terminal.then_some(if size.ws_col == 0 { 80 } else { size.ws_col.into() })
    }
}

/// A line in rows of so many columns, broken at a space if there is one in the right half; those after the
/// first are indented by `indent` columns, at most by a third of the width. A width of 0 is no limit.
pub fn wrap(line: &str, width: usize, indent: usize) -> Vec<String> {
    let indent = indent.min(width / 3);
    let mut rows = Vec::new();
    let mut rest = line.to_owned();
    while width > 0
        && let Some((end, _)) = rest.char_indices().find(|(at, c)| columns(&rest[..at + c.len_utf8()]) > width)
    {
        let end = rest[..end].rfind(' ').filter(|at| *at > end / 2).unwrap_or(end);
        rows.push(rest[..end].to_owned());
        rest = format!("{:indent$}{}", "", rest[end..].trim_start());
    }
    rows.push(rest);
    rows
}

/// A text with its paragraphs broken anew for the terminal that standard output is; in a pipe as it is.
pub fn filled(text: &str) -> String {
    width().map_or_else(|| text.to_owned(), |width| fill(text, width))
}

fn fill(text: &str, width: usize) -> String {
    let mut paragraphs: Vec<String> = Vec::new();
    for line in text.lines() {
        match paragraphs.last_mut().filter(|last| !last.is_empty()) {
            Some(last) if !line.is_empty() && !line.starts_with("- ") => *last += &format!("{}{}", gap(last, line), line.trim_start()),
            _ => paragraphs.push(line.to_owned()),
        }
    }
    let rows = paragraphs.iter().flat_map(|paragraph| wrap(paragraph, width, if paragraph.starts_with("- ") { 2 } else { 0 }));
    rows.collect::<Vec<_>>().join("\n")
}

/// What the end of a line becomes: a space, but none between Chinese characters or at a Chinese punctuation mark.
fn gap(before: &str, after: &str) -> &'static str {
    let (Some(before), Some(after)) = (before.chars().last(), after.trim_start().chars().next()) else { return "" };
    let is_mark = |c| matches!(c, '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ffef}');
    let is_chinese = |c| c >= '\u{2e80}';
    if is_mark(before) || is_mark(after) || (is_chinese(before) && is_chinese(after)) { "" } else { " " }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_broken_anew_for_the_terminal() {
        assert_eq!(fill("one two\nthree four\n\n- five six\n  seven\n- eight", 12), "one two\nthree four\n\n- five six\n  seven\n- eight");
        assert_eq!(fill("one two\nthree", 20), "one two three");
        assert_eq!(fill("报文，\n`send` 到达\n服务端\n`recv`", 40), "报文，`send` 到达服务端 `recv`");
        assert_eq!(fill("报文到达服务端", 8), "报文到达\n服务端");
    }
}
