//! A call as strace writes it, taken apart.

use crate::mask::units;

/// `sendto(3, "g1", 2, 0, NULL, 0) = 2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call<'a> {
    pub name: &'a str,
    pub args: Vec<&'a str>,
    /// What stands behind the `=`: `2`, `-1 EBADF (Bad file descriptor)`, `?`.
    pub result: &'a str,
}

impl<'a> Call<'a> {
    /// `None` if the line is of a signal or an end.
    pub fn parse(line: &'a str) -> Option<Call<'a>> {
        let (name, rest) = line.split_once('(').filter(|_| crate::trace::is_call(line))?;
        let (mut args, mut begin, mut depth, mut in_string, mut escaped) = (Vec::new(), 0, 0_usize, false, false);
        for (at, byte) in rest.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'(' | b'[' | b'{' => depth += 1,
                b')' if depth == 0 => {
                    args.push(rest[begin..at].trim());
                    let result = rest[at + 1..].trim_start().strip_prefix('=')?.trim();
                    return Some(Call { name, args, result });
                }
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                b',' if depth == 0 => {
                    args.push(rest[begin..at].trim());
                    begin = at + 1;
                }
                _ => {}
            }
        }
        None
    }

    /// Its first argument, if that is a descriptor.
    pub fn fd(&self) -> Option<i32> {
        self.args.first()?.parse().ok()
    }

    /// What it returned, if it succeeded.
    pub fn result(&self) -> Option<i64> {
        self.result.split(' ').next()?.parse().ok().filter(|result| *result >= 0)
    }

    /// Whether strace made it fail or succeed.
    pub fn is_injected(&self) -> bool {
        self.result.ends_with("(INJECTED)")
    }

    /// Whether one of its arguments has this word: a flag.
    pub fn has(&self, word: &str) -> bool {
        self.args.iter().skip(2).any(|arg| arg.split('|').any(|flag| flag == word)) || self.args.get(1).is_some_and(|arg| arg.starts_with('{') && arg.contains(word))
    }

    /// The bytes that it sent or wrote.
    pub fn sent(&self) -> Option<Vec<u8>> {
        ["send", "sendto", "sendmsg", "write", "writev"].contains(&self.name).then(|| self.bytes()).flatten()
    }

    /// The bytes that it received or read.
    pub fn received(&self) -> Option<Vec<u8>> {
        ["recv", "recvfrom", "recvmsg", "read", "readv"].contains(&self.name).then(|| self.bytes()).flatten()
    }

    /// As many bytes of its buffers as it says that it has moved.
    fn bytes(&self) -> Option<Vec<u8>> {
        let moved = usize::try_from(self.result()?).ok()?;
        let buffers = self.args.get(1)?;
        let mut bytes = if buffers.starts_with('"') { unescape(buffers) } else { buffers.split("iov_base=").skip(1).flat_map(unescape).collect() };
        bytes.truncate(moved);
        Some(bytes)
    }

    /// The address among its arguments: `127.0.0.1:43211`, a path, or `@` and an abstract name.
    pub fn address(&self) -> Option<String> {
        let arg = self.args.iter().find(|arg| arg.contains("sa_family="))?;
        let value = |before: &str, after: &str| Some(arg.split_once(before)?.1.split(after).next()?.to_owned());
        if let Some((_, path)) = arg.split_once("sun_path=") {
            let (sign, path) = path.strip_prefix('@').map_or(("", path), |path| ("@", path));
            return Some(format!("{sign}{}", String::from_utf8_lossy(&unescape(path))));
        }
        let port = value("_port=htons(", ")")?;
        let host = value("inet_addr(\"", "\"").or_else(|| value("inet_pton(AF_INET6, \"", "\""))?;
        Some(format!("{host}:{port}"))
    }
}

/// The bytes of a text that begins with a quoted string in strace's notation.
fn unescape(text: &str) -> Vec<u8> {
    let byte = |escape: &str| match escape {
        "n" => b'\n',
        "t" => b'\t',
        "r" => b'\r',
        "v" => 0x0b,
        "f" => 0x0c,
        _ => match escape.strip_prefix('x') {
            Some(digits) => u8::from_str_radix(digits, 16).unwrap_or(0),
            // Octal digits, or a character that stands for itself.
            None => u8::from_str_radix(escape, 8).unwrap_or_else(|_| escape.bytes().next().unwrap_or(b'\\')),
        },
    };
    let bytes = |unit: &str| unit.strip_prefix('\\').map_or_else(|| unit.into(), |escape| vec![byte(escape)]);
    units(text.get(1..).unwrap_or_default()).take_while(|unit| *unit != "\"").flat_map(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_taken_apart() {
        let call = Call::parse(r#"sendto(3, "a, \")\0\1772", 6, 0, {sa_family=AF_INET, sin_port=htons(43211), sin_addr=inet_addr("127.0.0.1")}, 16) = 5"#).unwrap();
        assert_eq!((call.name, call.fd(), call.args.len(), call.result()), ("sendto", Some(3), 6, Some(5)));
        assert_eq!((call.sent().unwrap(), call.received()), (b"a, \")".to_vec(), None));
        assert_eq!(call.address().unwrap(), "127.0.0.1:43211");
        assert_eq!(unescape(r#""\0\1772\xff\r\"" and"#), b"\0\x7f2\xff\r\"");
        let address = |line| Call::parse(line).unwrap().address();
        assert_eq!(address(r#"bind(3, {sa_family=AF_UNIX, sun_path="a b"}, 110) = 0"#).unwrap(), "a b");
        assert_eq!(address(r#"connect(3, {sa_family=AF_UNIX, sun_path=@"ab"}, 110) = 0"#).unwrap(), "@ab");
        assert_eq!(address("connect(3, {sa_family=AF_UNSPEC, sa_data=\"\"}, 16) = 0"), None);
    }

    #[test]
    fn messages_failures_and_what_is_no_call() {
        let call = Call::parse(
            r#"recvmsg(3, {msg_name={sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("127.0.0.1")}, msg_iov=[{iov_base="g1", iov_len=9}], msg_flags=MSG_ERRQUEUE}, MSG_ERRQUEUE) = 2"#,
        )
        .unwrap();
        assert_eq!((call.received().unwrap(), call.address().unwrap(), call.has("MSG_ERRQUEUE"), call.has("MSG_PEEK")), (b"g1".to_vec(), "127.0.0.1:9".to_owned(), true, false));
        let failed = Call::parse("bind(3, 0x1, 2) = -1 EACCES (Permission denied) (INJECTED)").unwrap();
        assert!(failed.is_injected() && failed.result().is_none());
        assert_eq!(Call::parse("exit_group(0) = ?").unwrap().result(), None);
        assert_eq!(Call::parse("recvfrom(3, <unfinished ...>) = ?").unwrap().received(), None);
        for line in ["+++ exited with 0 +++", "--- SIGINT {si_signo=SIGINT, si_code=SI_KERNEL} ---"] {
            assert_eq!(Call::parse(line), None);
        }
    }
}
