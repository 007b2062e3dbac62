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
