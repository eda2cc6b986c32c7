//! Records of carriers that write one JSON object a line.

use std::borrow::Cow;

use serde::Deserialize;

use super::Source;

/// The fields of such records that hold the text, or tell who wrote it. Numbers and text are both used for ids.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, default)]
    log: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "MESSAGE")]
    journal: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "SYSLOG_IDENTIFIER")]
    identifier: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "textPayload")]
    payload: Option<Cow<'a, str>>,
    #[serde(borrow, default, alias = "msg")]
    message: Option<Cow<'a, str>>,
    #[serde(default, alias = "severity", alias = "levelname", alias = "lvl")]
    level: Option<serde_json::Value>,
    #[serde(borrow, default, alias = "exc_info", alias = "stack_trace", alias = "traceback")]
    exception: Option<Cow<'a, str>>,
}

/// The text in `line` where it is a record of Docker, journald, a cloud's collector or a logger that writes JSON. Any other
/// object is text of the program itself.
pub(super) fn unpack(line: &str, source: &mut Source) -> Option<String> {
    let line = line.trim();
    if !line.starts_with("{\"") && !line.starts_with("{ \"") || !line.ends_with('}') {
        return None;
    }
    let record: Record<'_> = serde_json::from_str(line).ok()?;
    if source.process.is_none()
        && let Some(identifier) = record.identifier
    {
        source.process = Some(identifier.into_owned());
    }
    let carried = record.log.filter(|_| record.stream.is_some()).or(record.journal).or(record.payload);
    if let Some(text) = carried {
        return Some(text.into_owned());
    }
    let message = record.message.filter(|_| record.level.is_some())?.into_owned();
    Some(match record.exception {
        Some(exception) => format!("{message}\n{exception}"),
        None => message,
    })
}

/// `bytes` with the escapes of JSON replaced by what they stand for, wherever they are. What is none stays.
pub(super) fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        plain.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((letter, behind)) = rest.split_first() else { break };
        rest = behind;
        match letter {
            b'n' => plain.push(b'\n'),
            b'r' => plain.push(b'\r'),
            b't' => plain.push(b'\t'),
            b'u' => {
                let digits = rest.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
                let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                if let Some(character) = code.and_then(char::from_u32) {
                    plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = &rest[4..];
                }
            }
            letter => plain.push(*letter),
        }
    }
    plain.extend_from_slice(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(line: &str) -> Option<String> {
        unpack(line, &mut Source::default())
    }

    #[test]
    fn docker_and_journald_records_hold_a_text() {
        assert_eq!(unpacked(r#"{"log":"a \"b\"\n","stream":"stderr","time":"2025-05-16T23:06:14Z"}"#), Some("a \"b\"\n".to_owned()));
        assert_eq!(unpacked(r#"{"MESSAGE":"NVRM: Xid","SYSLOG_IDENTIFIER":"kernel","_PID":"1"}"#), Some("NVRM: Xid".to_owned()));
    }

    #[test]
    fn a_logger_that_writes_json_has_a_level() {
        assert_eq!(unpacked(r#"{"level":"ERROR","message":"a","exc_info":"b"}"#), Some("a\nb".to_owned()));
        assert_eq!(unpacked(r#"{"object":"error","message":"a"}"#), None);
    }

    #[test]
    fn escapes_of_json_are_replaced() {
        assert_eq!(unescaped(br#"a \"b\"\n\u001b[31m \u00e9 \\x \u12"#), "a \"b\"\n\u{1b}[31m é \\x 12".as_bytes());
    }
}
