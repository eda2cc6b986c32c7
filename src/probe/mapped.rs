//! Which file the loader really took for a library, and why it took none.

use std::error::Error;

use crate::reading::Reading;

/// The file mapped into this process whose name begins with `name`.
pub(super) fn library(name: &str) -> Reading<String> {
    match fs_err::read_to_string("/proc/self/maps") {
        Ok(maps) => Reading::from(find(&maps, name)),
        Err(error) => Reading::Unreadable(error.kind().to_string()),
    }
}

fn find(maps: &str, name: &str) -> Option<String> {
    let paths = maps.lines().filter_map(|line| line.find('/').and_then(|at| line.get(at..)));
    let named = |path: &&str| path.rsplit('/').next().is_some_and(|file| file.starts_with(name));
    paths.into_iter().find(named).map(|path| path.trim_end_matches(" (deleted)").to_owned())
}

/// Why the loader took none: absent if it found no file of that name, else what it says.
pub(super) fn not_loaded<T>(error: &libloading::Error) -> Reading<T> {
    let said = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    // The loader names the library first, also when it is another one that this one needs.
    let own = [super::nvml::LIBRARY, super::cuda::LIBRARY].iter().any(|name| said.starts_with(&format!("{name}: ")));
    if own && said.contains("cannot open shared object file: No such file") {
        Reading::Absent
    } else {
        Reading::Unreadable(said.chars().take(300).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapped_file_is_found_by_its_name() {
        let maps = "7f00-7f01 r--p 00000000 08:01 1 /usr/lib/libc.so.6\n7f02-7f03 r-xp 00000000 08:01 2   /opt/a b/libcuda.so.580.95.05\n";
        assert_eq!(find(maps, "libcuda.so").as_deref(), Some("/opt/a b/libcuda.so.580.95.05"));
        assert_eq!(find(maps, "libnvidia-ml.so"), None);
    }
}
