//! Replaces what identifies, by its form or because it is known, with placeholders that keep the form.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::Identifiers;

/// What a text is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Anything.
    Any,
    /// Versions and digests, which look like addresses and ids.
    Versions,
}

/// Names of users that identify nobody, and words of the field that somebody may be called.
const COMMON: [&str; 58] = [
    "admin",
    "administrator",
    "agent",
    "anaconda",
    "app",
    "azureuser",
    "build",
    "centos",
    "container",
    "core",
    "cuda",
    "daemon",
    "data",
    "debian",
    "default",
    "dev",
    "docker",
    "ec2-user",
    "engine",
    "fedora",
    "gpu",
    "guest",
    "home",
    "jovyan",
    "jupyter",
    "kernel",
    "linux",
    "local",
    "localhost",
    "mambauser",
    "model",
    "models",
    "nobody",
    "node",
    "nvidia",
    "opc",
    "ops",
    "python",
    "ray",
    "rocky",
    "root",
    "runner",
    "server",
    "service",
    "slurm",
    "system",
    "test",
    "tmp",
    "torch",
    "triton",
    "ubuntu",
    "user",
    "users",
    "usr",
    "vagrant",
    "vllm",
    "work",
    "workspace",
];

/// Identifiers that belong to a specification and not to a machine.
const PUBLIC_UUIDS: [&str; 1] = ["8be4df61-93ca-11d2-aa0d-00e098032b8c"];

/// The expressions; none only if one were wrong, which a test excludes.
struct Forms {
    uuid: Regex,
    uuid_start: Regex,
    digest: Regex,
    mac: Regex,
    ip4: Regex,
    ip6: Regex,
    mount: Regex,
    option: Regex,
    serial: Regex,
}

static FORMS: LazyLock<Option<Forms>> = LazyLock::new(|| {
    let form = |text| Regex::new(text).ok();
    Some(Forms {
        uuid: form(r"(?i)[0-9a-f]{8}([-_])[0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}")?,
        // As `CUDA_VISIBLE_DEVICES` may have it.
        uuid_start: form(r"(?-u:\b)((?:MIG-)?(?:GPU|MIG)-)([0-9a-f]{4,8}(?:-[0-9a-f]{0,12})*)")?,
        digest: form(r"(?-u:\b)(?:[0-9a-f]{64}|[0-9a-f]{32})(?-u:\b)")?,
        mac: form(r"(?i)(?-u:\b)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?-u:\b)")?,
        ip4: form(r"(?-u:\b)(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?-u:\b)")?,
        ip6: form(r"(?i)(?-u:\b)(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6})(?-u:\b)")?,
        mount: form(r" - (nfs4?|cifs|smb3?|lustre|ceph|glusterfs|beegfs_nodev|beegfs|gpfs|9p|fuse\.[a-z0-9._-]+) \S+")?,
        option: form(
            r"(?-u:\b)(username|password|passwd|pass|credentials|secret|domain|addr|clientaddr|mountaddr|fsname|user_id|group_id)=[^,\s]+",
        )?,
        serial: form(r"(?i)(?-u:\b)(serial number\s*[:=]\s*)(\S+)")?,
    })
});

/// Reads the expressions before the first text comes.
pub(super) fn prepare() {
    crate::redact::prepare();
    let _ = FORMS.is_some();
}

/// Remembers what it has replaced by what.
#[derive(Debug)]
pub(super) struct Replacer {
    words: Vec<(String, &'static str)>,
    seen: HashMap<String, usize>,
    /// Full UUIDs in the order in which they were met, for texts that have the start of one.
    uuids: Vec<String>,
}

impl Replacer {
    pub(super) fn new(known: &Identifiers) -> Self {
        let is_name = |name: &&String| name.chars().count() >= 3 && !COMMON.contains(&name.to_lowercase().as_str()) && !name.contains('*');
        let hosts = known.hosts.iter().filter(is_name).map(|name| (name.clone(), "<host>"));
        let users = known.users.iter().filter(is_name).map(|name| (name.clone(), "<user>"));
        let mut words: Vec<(String, &'static str)> = hosts.chain(users).collect();
        // The longest first: a machine's short name begins its long one.
        words.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Self { words, seen: HashMap::new(), uuids: Vec::new() }
    }

    /// The number of a thing of one kind, counted from 1.
    fn number(&mut self, kind: &str, thing: &str) -> usize {
        let next = self.seen.keys().filter(|key| key.starts_with(kind)).count() + 1;
        *self.seen.entry(format!("{kind}{}", thing.to_lowercase())).or_insert(next)
    }

    /// `serial-1`; the GPUs of one board share theirs, and 0 is what a board without one says.
    pub(super) fn serial(&mut self, serial: &str) -> String {
        let none = serial.starts_with("serial-") || serial.is_empty() || serial == "0";
        if none { serial.to_owned() } else { format!("serial-{}", self.number("serial ", serial)) }
    }

    /// `text` without what identifies.
    pub(super) fn text(&mut self, text: &str, scope: Scope) -> String {
        let Some(forms) = &*FORMS else { return crate::redact::MARK.to_owned() };
        let lines = text.split_inclusive('\n').map(|line| self.line(line, scope, forms));
        lines.collect()
    }

    fn line(&mut self, line: &str, scope: Scope, forms: &Forms) -> String {
        let mut text = crate::redact::line(line).into_owned();
        for (word, mark) in &self.words {
            text = replace_word(&text, word, mark);
        }
        text = forms.uuid.replace_all(&text, |found: &Captures<'_>| self.uuid(&found[0], &found[1])).into_owned();
        text = forms.uuid_start.replace_all(&text, |found: &Captures<'_>| self.uuid_start(&found[1], &found[2])).into_owned();
        if scope == Scope::Versions {
            return text;
        }
        text = forms.digest.replace_all(&text, |found: &Captures<'_>| self.digest(&found[0])).into_owned();
        text = forms.mac.replace_all(&text, |found: &Captures<'_>| self.mac(&found[0])).into_owned();
        text = forms.mount.replace_all(&text, " - $1 <source>").into_owned();
        text = forms.option.replace_all(&text, "$1=<redacted>").into_owned();
        text = forms.serial.replace_all(&text, |found: &Captures<'_>| format!("{}{}", &found[1], self.serial(&found[2]))).into_owned();
        text = forms.ip4.replace_all(&text, |found: &Captures<'_>| self.ip4(&found[0])).into_owned();
        forms.ip6.replace_all(&text, |found: &Captures<'_>| self.ip6(&found[0])).into_owned()
    }

    fn uuid(&mut self, uuid: &str, joint: &str) -> String {
        let plain = uuid.to_lowercase().replace('_', "-");
        if PUBLIC_UUIDS.contains(&plain.as_str()) || plain.ends_with(PLACEHOLDER_END) {
            return uuid.to_owned();
        }
        let number = self.number("uuid ", &plain);
        if self.uuids.len() < number {
            self.uuids.push(plain);
        }
        format!("{number:08x}{PLACEHOLDER_END}").replace('-', joint)
    }

    /// The whole placeholder of the first UUID that begins so. A whole UUID has become one already.
    fn uuid_start(&mut self, kind: &str, start: &str) -> String {
        let position = self.uuids.iter().position(|uuid| uuid.starts_with(start));
        match position {
            Some(index) => format!("{kind}{:08x}{PLACEHOLDER_END}", index + 1),
            None if start.ends_with(PLACEHOLDER_END) => format!("{kind}{start}"),
            // The start of one that is not here: it names nothing, and shall not.
            None => format!("{kind}{:08x}{PLACEHOLDER_END}", 0xffff),
        }
    }

    fn digest(&mut self, digest: &str) -> String {
        if digest.starts_with("000000000000000000") {
            return digest.to_owned();
        }
        let number = self.number("digest ", digest);
        format!("{number:0width$x}", width = digest.len())
    }

    fn mac(&mut self, address: &str) -> String {
        if address.starts_with("00:00:00:00") || address.eq_ignore_ascii_case("ff:ff:ff:ff:ff:ff") {
            return address.to_owned();
        }
        let number = self.number("mac ", address);
        format!("00:00:00:00:{:02x}:{:02x}", number >> 8 & 0xff, number & 0xff)
    }

    /// Addresses of 192.0.2.0/24 are reserved for examples.
    fn ip4(&mut self, address: &str) -> String {
        if ["127.", "0.0.0.0", "192.0.2.", "255.", "169.254."].iter().any(|start| address.starts_with(start)) {
            return address.to_owned();
        }
        format!("192.0.2.{}", self.number("ip4 ", address) % 255)
    }

    fn ip6(&mut self, address: &str) -> String {
        if address.to_lowercase().starts_with("2001:db8") {
            return address.to_owned();
        }
        format!("2001:db8::{:x}", self.number("ip6 ", address))
    }
}

/// What every placeholder of a UUID ends with; its first part tells it from others.
const PLACEHOLDER_END: &str = "-0000-4000-8000-000000000000";

/// `text` with `word` replaced where it is not part of a longer word.
fn replace_word(text: &str, word: &str, mark: &str) -> String {
    if !text.contains(word) {
        return text.to_owned();
    }
    let part = |c: char| c.is_ascii_alphanumeric();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, from) = rest.split_at(at);
        let after = from.get(word.len()..).unwrap_or_default();
        let continues = before.ends_with(part) || before.is_empty() && out.ends_with(part);
        let alone = !continues && !after.starts_with(part);
        out.push_str(before);
        out.push_str(if alone { mark } else { word });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> String {
        let known = Identifiers { hosts: vec!["gpu7".to_owned(), "gpu7.corp.example".to_owned()], users: vec!["max".to_owned()] };
        Replacer::new(&known).text(text, Scope::Any)
    }

    #[test]
    fn every_form_compiles() {
        assert!(FORMS.is_some());
    }

    #[test]
    fn names_go_as_words() {
        assert_eq!(replaced("gpu7.corp.example gpu7 gpu70 /srv/max/x max_num_seqs"), "<host> <host> gpu70 /srv/<user>/x <user>_num_seqs");
    }

    #[test]
    fn forms_go_and_versions_stay() {
        for (text, shown) in [
            ("addr 10.0.0.7 and 10.0.0.8, again 10.0.0.7", "addr 192.0.2.1 and 192.0.2.2, again 192.0.2.1"),
            ("fe80::3eec:efff:fe12:3456%eth0", "2001:db8::1%eth0"),
            ("3c:ec:ef:12:34:56", "00:00:00:00:00:01"),
            ("0000:18:00.0 driver 580.95.05 CUDA 13.0", "0000:18:00.0 driver 580.95.05 CUDA 13.0"),
            ("/kubepods/pod8932f937_d72c_4106_c12f_20bd9faed9f6", "/kubepods/pod00000001_0000_4000_8000_000000000000"),
            ("127.0.0.1 and 00:00:00:00:00:00", "127.0.0.1 and 00:00:00:00:00:00"),
        ] {
            assert_eq!(replaced(text), shown);
        }
        let digest = format!("docker-{}.scope", "3f".repeat(32));
        assert_eq!(replaced(&digest), format!("docker-{}1.scope", "0".repeat(63)));
        let versions = Replacer::new(&Identifiers::default()).text("12.4.5.8", Scope::Versions);
        assert_eq!(versions, "12.4.5.8");
    }
}
