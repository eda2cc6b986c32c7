//! Takes what is secret or personal out of a line that will be shown or sent.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex, RegexSet};

/// What takes the place of a secret.
pub const MARK: &str = "<redacted>";

/// One kind of secret.
struct Secret {
    /// Matches it; the group `keep` stays, the group `secret` goes.
    expression: &'static str,
    /// What takes its place.
    mark: &'static str,
}

/// Secrets, the most telling first. Network addresses and names of machines in a network stay: failures between nodes
/// cannot be read without them.
const SECRETS: [Secret; 13] = [
    // Hugging Face, OpenAI and Anthropic, GitHub, GitLab, AWS, Slack, NVIDIA NGC, Google.
    Secret { expression: r"hf_[A-Za-z0-9]{16,}", mark: MARK },
    Secret { expression: r"(?-u:\b)(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}", mark: MARK },
    Secret { expression: r"(?-u:\b)(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,})", mark: MARK },
    Secret { expression: r"(?-u:\b)(?:AKIA|ASIA)[A-Z0-9]{16}(?-u:\b)", mark: MARK },
    Secret { expression: r"(?-u:\b)xox[abprs]-[A-Za-z0-9-]{10,}", mark: MARK },
    Secret { expression: r"(?-u:\b)nvapi-[A-Za-z0-9_-]{16,}", mark: MARK },
    Secret { expression: r"(?-u:\b)AIza[A-Za-z0-9_-]{30,}", mark: MARK },
    Secret { expression: r"(?-u:\b)eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*", mark: MARK },
    Secret { expression: r"(?i)(?P<keep>(?-u:\b)(?:bearer|basic)\s+)[A-Za-z0-9+/=_.~-]{12,}", mark: MARK },
    // `API_KEY=…`, `--api-key …`, `"password": "…"`, `api_key=['…']`. A count such as `max_tokens=512` is no secret.
    Secret {
        expression: r#"(?i)(?P<keep>(?:api[_-]?key|access[_-]?key|secret(?:[_-]?key)?|auth[_-]?token|hf[_-]?token|hub[_-]?token|[a-z]+_TOKEN|(?-u:\b)token|passwd|password|passphrase|luks\.key)["']?(?:\s*[:=]\s*|\s+)\[?["']?)(?P<secret>[^\s"',\]\)}&;]{6,})"#,
        mark: MARK,
    },
    Secret { expression: r"(?P<keep>(?-u:\b)[a-z][a-z0-9+.-]*://)[^\s/:@]+:[^\s/@]+(?P<after>@)", mark: MARK },
    Secret { expression: r"(?-u:\b)[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}(?-u:\b)", mark: "<e-mail>" },
    Secret { expression: r"(?P<keep>(?:/home/|/Users/|[A-Za-z]:\\Users\\))[^/\\\s:'\x22]+", mark: "<user>" },
];

/// Reads the expressions, which takes some milliseconds, before the first text comes.
pub fn prepare() {
    drop(line(""));
}

struct Compiled {
    any: RegexSet,
    each: Vec<(Regex, &'static str)>,
}

/// Empty only if an expression above were wrong, which a test excludes.
static COMPILED: LazyLock<Option<Compiled>> = LazyLock::new(|| {
    let any = RegexSet::new(SECRETS.iter().map(|secret| secret.expression)).ok()?;
    let each = SECRETS.iter().map(|secret| Some((Regex::new(secret.expression).ok()?, secret.mark)));
    Some(Compiled { any, each: each.collect::<Option<Vec<_>>>()? })
});

/// How many kinds at the end of [`SECRETS`] are names of people, which lead nobody in.
const PERSONAL: usize = 2;

/// `text` without tokens, keys, passwords, e-mail addresses and names of users in paths.
pub fn line(text: &str) -> Cow<'_, str> {
    without(text, SECRETS.len())
}

/// `text` without tokens, keys and passwords; names of people stay.
pub fn secrets(text: &str) -> Cow<'_, str> {
    without(text, SECRETS.len() - PERSONAL)
}

/// `text` without the first `kinds` of [`SECRETS`].
fn without(text: &str, kinds: usize) -> Cow<'_, str> {
    let Some(compiled) = &*COMPILED else { return Cow::Borrowed(MARK) };
    let hits = compiled.any.matches(text);
    if !hits.matched_any() {
        return Cow::Borrowed(text);
    }
    let mut text = Cow::Borrowed(text);
    for index in hits.iter().filter(|index| *index < kinds) {
        let Some((regex, mark)) = compiled.each.get(index) else { continue };
        let replaced = regex.replace_all(&text, |found: &Captures<'_>| replacement(found, mark));
        // What stands where a secret could, and is none, is put back as it was.
        if let Cow::Owned(replaced) = replaced
            && replaced != text
        {
            text = Cow::Owned(replaced);
        }
    }
    text
}

fn replacement(found: &Captures<'_>, mark: &str) -> String {
    let group = |name: &str| found.name(name).map_or("", |group| group.as_str());
    let secret = found.name("secret").map(|secret| secret.as_str());
    if secret.is_some_and(is_no_secret) {
        return found[0].to_owned();
    }
    format!("{}{mark}{}", group("keep"), group("after"))
}

/// Values that stand where a secret could: counts, nothing at all, what was redacted before, names of variables.
fn is_no_secret(value: &str) -> bool {
    let word = value.trim_end_matches(['.', ':']);
    word.parse::<f64>().is_ok()
        || value.starts_with(['<', '*', '$'])
        || ["None", "null", "True", "False", "true", "false"].contains(&word)
        || word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_compiles() {
        assert!(COMPILED.is_some());
    }

    #[test]
    fn tokens_and_passwords_go() {
        for (text, shown) in [
            ("token hf_AbCdEfGhIjKlMnOpQrStUv is invalid", "token <redacted> is invalid"),
            ("api_key=['sk-abcdefghijklmnop1234']", "api_key=['<redacted>']"),
            ("--api-key Secret123 --port 8000", "--api-key <redacted> --port 8000"),
            ("HF_TOKEN=abcDEF123456", "HF_TOKEN=<redacted>"),
            ("\"password\": \"hunter2x\"", "\"password\": \"<redacted>\""),
            ("Authorization: Bearer abc.DEF-123456789", "Authorization: Bearer <redacted>"),
            ("https://bob:pa55word@proxy.example:3128/", "https://<redacted>@proxy.example:3128/"),
        ] {
            assert_eq!(line(text), shown);
        }
    }

    #[test]
    fn people_may_stay() {
        assert_eq!(secrets("/home/anna --token=abcDEF123"), "/home/anna --token=<redacted>");
    }

    #[test]
    fn people_go() {
        assert_eq!(line("File \"/home/anna/venv/lib/x.py\""), "File \"/home/<user>/venv/lib/x.py\"");
        assert_eq!(line(r"C:\Users\anna\x.py"), r"C:\Users\<user>\x.py");
        assert_eq!(line("mail anna.b@example.org"), "mail <e-mail>");
    }

    #[test]
    fn what_a_diagnosis_needs_stays() {
        for text in [
            "max_num_batched_tokens=8192, max_tokens=512",
            "connect to 10.0.0.7:29500 failed",
            "Token indices sequence length is longer than the maximum",
            "tokenizer='/models/m', token=None",
            "GPU KV cache size: 79,040 tokens",
        ] {
            assert!(matches!(line(text), Cow::Borrowed(_)), "{}", line(text));
        }
    }

    #[test]
    fn nothing_is_redacted_twice() {
        let once = line("HF_TOKEN=abcDEF123456 /home/anna/x a@b.org").into_owned();
        assert_eq!(line(&once), once);
    }
}
