//! Small texts of the kernel and the distribution, taken apart.

use crate::capture::Capture;
use crate::reading::Reading;
use crate::units::Bytes;
use crate::version::Version;

/// A file as it was read; a file that was not looked for is absent.
pub(super) fn file<'a>(capture: &'a Capture, path: &str) -> Reading<&'a str> {
    capture.files.get(path).map_or(Reading::Absent, |text| text.as_ref().map(String::as_str))
}

/// Whether one of these files is there: unreadable only if none is known and one could not be read.
pub(super) fn any_file(capture: &Capture, paths: &[&str]) -> Reading<bool> {
    let readings: Vec<Reading<&str>> = paths.iter().map(|path| file(capture, path)).collect();
    if readings.iter().any(|reading| reading.known().is_some()) {
        return Reading::Known(true);
    }
    let reason = readings.iter().find_map(|reading| reading.reason().map(str::to_owned));
    reason.map_or(Reading::Known(false), Reading::Unreadable)
}

/// The value of `KEY=value` or `KEY="value"`.
pub(super) fn assignment(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

/// A size of `/proc/meminfo`: `MemTotal:  131891212 kB`, in which kB is 2^10 bytes.
pub(super) fn meminfo(text: &str, key: &str) -> Option<Bytes> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
    Some(Bytes(kib.saturating_mul(1024)))
}

/// Whether `/proc/modules` lists a module.
pub(super) fn module(capture: &Capture, name: &str) -> Reading<bool> {
    let loaded = |text: &str| text.lines().any(|line| line.split_whitespace().next() == Some(name));
    match file(capture, "/proc/modules") {
        Reading::Known(text) => Reading::Known(loaded(text)),
        Reading::Absent => Reading::unreadable("/proc/modules is not there"),
        Reading::Unreadable(reason) => Reading::Unreadable(reason),
    }
}

/// How many processors a list such as `0-31,64-95` names.
pub(super) fn processors(list: &str) -> Vec<u64> {
    let range = |part: &str| -> Option<std::ops::RangeInclusive<u64>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (last.saturating_sub(first) < 65_536).then_some(first..=last)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

/// The CUDA version of an API number: 13.0 of 13000.
pub(super) fn api_version(number: i32) -> Reading<Version> {
    if number <= 0 {
        return Reading::Absent;
    }
    Reading::from(format!("{}.{}", number / 1000, number % 1000 / 10).parse().ok())
}

/// The first version in a text, such as `580.95.05` in the driver's own line.
pub(super) fn version_in(text: &str, least_parts: usize) -> Option<Version> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | 'V' | 'v'));
    let numbers = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        parts.len() >= least_parts && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    words.filter(numbers).find_map(|word| word.parse().ok())
}

/// The number behind `.so.` in a path: `580.95.05` of `/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05`.
pub(super) fn library_version(path: &str) -> Option<Version> {
    let (_, number) = path.rsplit_once(".so.")?;
    (number.split('.').count() >= 2).then(|| number.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_kernel_are_read() {
        assert_eq!(meminfo("MemTotal:       131072 kB\nMemFree: 1 kB\n", "MemTotal"), Some(Bytes(131_072 << 10)));
        assert_eq!(processors("0-3,8,10-11\n"), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(processors("x,-,5-"), Vec::<u64>::new());
        assert_eq!(assignment("ID=ubuntu\nVERSION_ID=\"24.04\"\n", "VERSION_ID").as_deref(), Some("24.04"));
        assert_eq!(api_version(12040).known().map(Version::to_string).as_deref(), Some("12.4"));
    }

    #[test]
    fn a_driver_is_named_by_its_own_line_and_by_its_library() {
        let line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder)";
        assert_eq!(version_in(line, 2).map(|version| version.to_string()).as_deref(), Some("580.95.05"));
        let path = "/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05";
        assert_eq!(library_version(path).map(|version| version.to_string()).as_deref(), Some("580.95.05"));
        assert_eq!(library_version("/usr/lib/wsl/lib/libcuda.so.1"), None);
    }
}
