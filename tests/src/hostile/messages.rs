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
