//! Messages that nobody would type.

/// A message of `n` bytes whose last is not like the others.
pub fn of(n: usize) -> Vec<u8> {
    let mut bytes = vec![b'x'; n];
    if let Some(last) = bytes.last_mut() {
        *last = b'y';
    }
    bytes
}

/// Messages that are short and yet not plain text, with a name for each.
pub fn odd() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nul-inside", b"be\0hind".to_vec()),
        ("nul-first", b"\0behind".to_vec()),
        ("every-byte", (1..=255).collect()),
        ("newlines", b"\none\ntwo\n".to_vec()),
        ("percents", b"%s%s%n%100000d".to_vec()),
    ]
}

/// What a C string function sees of `bytes`.
pub fn c_str(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// At most the first `n` bytes.
pub fn first(n: usize, bytes: &[u8]) -> &[u8] {
    &bytes[..n.min(bytes.len())]
}

/// What `lab peer` prints of a message.
pub fn counted(message: &[u8]) -> Vec<u8> {
    [format!("{} bytes: ", message.len()).as_bytes(), message, b"\n"].concat()
}

/// What `fgets` makes of a file, with room for `size` bytes.
pub fn lines(mut file: &[u8], size: usize) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while !file.is_empty() {
        let most = first(size - 1, file);
        let (line, rest) = file.split_at(most.iter().position(|byte| *byte == b'\n').map_or(most.len(), |at| at + 1));
        lines.push(line);
        file = rest;
    }
    lines
}

/// Lines to stand in a file between two plain ones, with a name for each.
pub fn odd_lines() -> Vec<(String, Vec<u8>)> {
    let mut lines = vec![("line-empty".to_owned(), b"\n".to_vec()), ("line-of-nul".to_owned(), b"\0\n".to_vec()), ("line-nul-at-end".to_owned(), b"g\0\n".to_vec())];
    lines.extend(odd().into_iter().map(|(what, text)| (format!("line-{what}"), [&text[..], b"\n"].concat())));
    lines
}

/// A line of `n` bytes and its newline.
pub fn line_of(n: usize) -> Vec<u8> {
    [of(n), b"\n".to_vec()].concat()
}

/// Paths that a server cannot have: what they are, the arguments, and what it says.
pub const REFUSED_PATHS: [(&str, &str, &str); 7] = [
    ("path-of-108", "{p*108}", "local_path too long: File name too long (36)"),
    ("path-of-200", "{p*200}", "local_path too long: File name too long (36)"),
    ("path-of-100000", "{p*100000}", "local_path too long: File name too long (36)"),
    ("path-in-no-folder", "no/such/folder", "bind failed: No such file or directory (2)"),
    ("path-is-a-folder", "trace", "bind failed: Address already in use (98)"),
    ("path-under-a-file", "file/sock", "bind failed: Not a directory (20)"),
    ("two-paths", "one two", "usage: PROGRAM <local_path>"),
];
