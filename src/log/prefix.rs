//! What Docker, Kubernetes, systemd, Ray and launchers put before a line.

use super::Source;

/// How many prefixes may stand before each other: a pod, a container runtime, a launcher, two processes.
const DEPTH: usize = 8;

/// The longest prefix in parentheses or brackets.
const WIDEST: usize = 200;

/// `line` without prefixes; what they say of the printing process goes into `source`.
pub(super) fn strip<'a>(line: &'a str, source: &mut Source) -> &'a str {
    let mut rest = line;
    for _ in 0..DEPTH {
        let trimmed = rest.trim_start();
        let Some(after) = one(trimmed, source) else { break };
        rest = after;
    }
    note_scheduler(rest, source);
    rest
}

/// The rest after one prefix.
fn one<'a>(line: &'a str, source: &mut Source) -> Option<&'a str> {
    match line.as_bytes().first()? {
        b'[' => bracket(line, source),
        b'(' => parenthesis(line, source),
        b'<' => priority(line),
        b'0'..=b'9' => timestamp(line, source),
        _ => compose(line, source).or_else(|| syslog(line, source)),
    }
}

/// `[pod/name/container]`, `[rank3]:`, `[default3]:`, `[1,3]<stderr>:`, `[   24.302465]`, `[Thu May 16 23:06:14 2024]`.
fn bracket<'a>(line: &'a str, source: &mut Source) -> Option<&'a str> {
    let (inner, after) = enclosed(line, ']')?;
    if let Some(pod) = inner.strip_prefix("pod/") {
        source.container = Some(pod.to_owned());
        return after.strip_prefix(' ').or(Some(after));
    }
    let rank = inner.strip_prefix("rank").or_else(|| inner.strip_prefix("default")).and_then(|digits| digits.parse().ok());
    if let Some(rank) = rank
        && (after.starts_with(':') || after.starts_with(' '))
    {
        source.rank = Some(rank);
        let after = after.strip_prefix(':').unwrap_or(after);
        return Some(after.strip_prefix(' ').unwrap_or(after));
    }
    let job = inner.split_once(',').and_then(|(job, rank)| job.parse::<u32>().ok().and(rank.parse().ok()));
    let stream = after.strip_prefix("<stderr>:").or_else(|| after.strip_prefix("<stdout>:"));
    if let (Some(rank), Some(rest)) = (job, stream) {
        source.rank = Some(rank);
        return Some(rest);
    }
    let since_boot =
        inner.trim_start().split_once('.').is_some_and(|(seconds, rest)| is_number(seconds) && rest.len() == 6 && is_number(rest));
    (since_boot || is_calendar(inner)).then(|| {
        source.process.get_or_insert_with(|| "kernel".to_owned());
        after.strip_prefix(' ').unwrap_or(after)
    })
}

/// `Thu May 16 23:06:14 2024`, as `dmesg -T` prints it.
fn is_calendar(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().take(6).collect();
    matches!(words.as_slice(), [day, month, date, time, year]
        if day.len() == 3 && is_month(month) && is_number(date) && is_time(time) && year.len() == 4 && is_number(year))
}

/// `(EngineCore_DP0 pid=123)`, `(VllmWorker rank=1 pid=7)`, `(RayWorkerWrapper pid=7, ip=10.0.0.2)`, `(raylet)`.
fn parenthesis<'a>(line: &'a str, source: &mut Source) -> Option<&'a str> {
    let (inner, after) = enclosed(line, ')')?;
    let fields: Vec<&str> = inner.split([' ', ',']).filter(|field| !field.is_empty()).collect();
    let value = |name: &str| fields.iter().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let pid = value("pid").and_then(|pid| pid.parse().ok());
    let rank = value("rank").and_then(|rank| rank.parse().ok());
    let first = fields.first()?;
    if pid.is_none() && rank.is_none() && !matches!(*first, "raylet" | "autoscaler" | "gcs_server" | "scheduler") {
        return None;
    }
    if !first.contains('=') {
        source.rank = rank.or_else(|| worker_rank(first)).or(source.rank);
        source.process = Some((*first).to_owned());
    } else if rank.is_some() {
        source.rank = rank;
    }
    source.pid = pid.or(source.pid);
    if let Some(host) = value("ip") {
        source.container = Some(host.to_owned());
    }
    Some(after.strip_prefix(' ').unwrap_or(after))
}

/// The rank that a worker carries in its name: `Worker_TP3`, `Worker_PP1_TP3`, `Worker_TP3_EP3`.
fn worker_rank(name: &str) -> Option<u32> {
    name.split('_').find_map(|part| part.strip_prefix("TP")?.parse().ok())
}

/// `<6>`, as the kernel's buffer has it.
fn priority(line: &str) -> Option<&str> {
    let (inner, after) = enclosed(line, '>')?;
    (inner.len() <= 3 && is_number(inner)).then_some(after)
}

/// `2025-05-16T23:06:14.123Z`, alone, with a container's stream, or with host and unit.
fn timestamp<'a>(line: &'a str, source: &mut Source) -> Option<&'a str> {
    let (stamp, rest) = line.split_once(' ')?;
    let (date, time) = stamp.split_once('T')?;
    let dated = date.len() == 10
        && date.bytes().enumerate().all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    if !dated || !time.get(..8).is_some_and(is_time) {
        return None;
    }
    for stream in ["stdout", "stderr"] {
        let tag = rest.strip_prefix(stream).and_then(|rest| rest.strip_prefix(' '));
        if let Some(text) = tag.and_then(|rest| rest.strip_prefix("F ").or_else(|| rest.strip_prefix("P "))) {
            return Some(text);
        }
        if tag.is_some_and(|rest| matches!(rest, "F" | "P")) {
            return Some("");
        }
    }
    Some(unit(rest, source).unwrap_or(rest))
}

/// `May 16 23:06:14 host unit[123]:`.
fn syslog<'a>(line: &'a str, source: &mut Source) -> Option<&'a str> {
    if !line.get(..3).is_some_and(is_month) {
        return None;
    }
    let mut words = line.splitn(3, ' ').filter(|word| !word.is_empty());
    words.next()?;
    let rest = line.get(3..)?.trim_start();
    let (date, rest) = rest.split_once(' ')?;
    let (time, rest) = rest.split_once(' ')?;
    if date.len() > 2 || !is_number(date) || !time.get(..8).is_some_and(is_time) {
        return None;
    }
    unit(rest, source)
}

/// `host unit[123]:` or `host kernel:`.
fn unit<'a>(line: &'a str, source: &mut Source) -> Option<&'a str> {
    let (host, rest) = line.split_once(' ')?;
    let end = rest.find(": ").or_else(|| rest.strip_suffix(':').map(str::len))?;
    let (name, after) = (rest.get(..end)?, rest.get(end + 1..).unwrap_or("").trim_start_matches(' '));
    let (name, pid) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
        Some((name, pid)) => (name, Some(pid.parse().ok()?)),
        None => (name, None),
    };
    let legal = |text: &str| {
        !text.is_empty() && text.len() < 80 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@/:()".contains(&byte))
    };
    if !legal(host) || !legal(name) || pid.is_none() && name != "kernel" {
        return None;
    }
    source.process = Some(name.to_owned());
    source.pid = pid.or(source.pid);
    Some(after)
}

/// `service-1  | `, as Docker Compose prints it.
fn compose<'a>(line: &'a str, source: &mut Source) -> Option<&'a str> {
    let (name, after) =
        line.get(..line.floor_char_boundary(WIDEST)).and_then(|head| head.find('|')).map(|at| (&line[..at], &line[at + 1..]))?;
    let name = name.strip_suffix(' ')?.trim_end();
    let legal = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (legal && (after.is_empty() || after.starts_with(' '))).then(|| {
        source.container = Some(name.to_owned());
        after.strip_prefix(' ').unwrap_or(after)
    })
}

/// SGLang writes the rank of its scheduler into the header of each line, which stays: `[2025-05-16 23:06:14 TP3] text`.
fn note_scheduler(line: &str, source: &mut Source) {
    if let Some((inner, _)) = line.strip_prefix('[').and_then(|_| enclosed(line, ']'))
        && let Some(rank) = inner.split(' ').skip(2).find_map(|word| word.strip_prefix("TP")?.parse().ok())
    {
        source.rank = Some(rank);
    }
}

/// The text between the first character and `end`, and what follows.
fn enclosed(line: &str, end: char) -> Option<(&str, &str)> {
    let head = line.get(1..line.floor_char_boundary(WIDEST))?;
    let at = head.find(end)?;
    Some((&head[..at], &line[at + 2..]))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `23:06:14`.
fn is_time(text: &str) -> bool {
    text.len() == 8 && text.bytes().enumerate().all(|(at, byte)| if at == 2 || at == 5 { byte == b':' } else { byte.is_ascii_digit() })
}

fn is_month(text: &str) -> bool {
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(line: &str) -> (&str, Source) {
        let mut source = Source::default();
        (strip(line, &mut source), source)
    }

    /// Each carrier leaves the text of the program.
    #[test]
    fn the_text_is_what_the_program_printed() {
        for line in [
            "vllm-1  | text",
            "2025-05-16T23:06:14.123456789Z text",
            "2025-05-16T23:06:14.123456789+02:00 stderr F text",
            "[pod/vllm-6f7/server] text",
            "[pod/vllm-6f7/server] 2025-05-16T23:06:14.1Z text",
            "May 16 23:06:14 gpu-1 vllm[123]: text",
            "May  6 23:06:14 gpu-1 kernel: [   24.302465] text",
            "2025-05-16T23:06:14+0200 gpu-1 dockerd[77]: text",
            "[Thu May 16 23:06:14 2024] text",
            "<6>[   24.302465] text",
            "(EngineCore_DP0 pid=68) text",
            "(APIServer pid=1) (EngineCore_DP0 pid=68) text",
            "(RayWorkerWrapper pid=7, ip=10.0.0.2) text",
            "(raylet) text",
            "[rank3]:text",
            "[1,3]<stderr>:text",
            "vllm-1  | (VllmWorker rank=1 pid=7) text",
        ] {
            assert_eq!(stripped(line).0, "text", "{line}");
        }
    }

    #[test]
    fn the_printing_process_is_known() {
        let source = stripped("(APIServer pid=1) (VllmWorker rank=1 pid=7) text").1;
        assert_eq!((source.process.as_deref(), source.pid, source.rank), (Some("VllmWorker"), Some(7), Some(1)));
        assert_eq!(stripped("(Worker_TP3_EP3 pid=9) text").1.rank, Some(3));
        assert_eq!(stripped("[2025-05-16 23:06:14 TP3] text").1.rank, Some(3));
        assert_eq!(stripped("May 16 23:06:14 gpu-1 vllm[123]: text").1.pid, Some(123));
        assert_eq!(stripped("vllm-1  | text").1.container.as_deref(), Some("vllm-1"));
    }

    #[test]
    fn what_is_no_prefix_stays() {
        for line in [
            "| NVIDIA-SMI 570.86    Driver Version: 570.86 |",
            "(no pid here) text",
            "[E] IRuntime::deserializeCudaEngine",
            "2025-05-16 23:06:14 INFO text",
            "May be text",
            "[2025-05-16 23:06:14 TP3] text",
            "(",
            "[é",
        ] {
            assert_eq!(stripped(line).0, line);
        }
    }
}
