//! Whether what is installed has kernels for a GPU: as read from the libraries, else as known of the wheels.

use crate::capture::Environment;
use crate::capture::library::Library;
use crate::catalog::ComputeCapability;
use crate::check::facts::Facts;
use crate::elf::{CodeKind, Scope, Target};

/// An architecture counts as built for if it has at least one in so many of the kernels of the one with most. PyTorch has
/// single kernels for architectures that it is not built for: 1 of 444 for 8.9, 59 for 10.3.
const SHARE: u32 = 7;

/// What was read of a package's kernels.
#[derive(Debug)]
pub(super) struct Read {
    /// The architectures that it is built for, sorted.
    pub(super) targets: Vec<u16>,
    /// Whether it runs on the GPU that was asked for.
    pub(super) runs: bool,
    /// The library that decides: the first that does not run, else the first.
    pub(super) place: String,
}

/// The kernels of the libraries without which a package does not start; `None` where none was read.
pub(super) fn of_package(facts: &Facts<'_>, package: &str, capability: ComputeCapability) -> Option<Read> {
    let environment = facts.environment?;
    let rules = facts.catalog.libraries();
    let own = environment.libraries.iter().filter(|library| library.package == package);
    let needed = own.filter(|library| package == "torch" || rules.is_needed(package, module(environment, library)));
    let read: Vec<(&Library, &Vec<Target>)> = needed.filter_map(|library| Some((library, library.targets.known()?))).collect();
    let with_kernels: Vec<_> = read.into_iter().filter(|(_, targets)| !targets.is_empty()).collect();
    let without = with_kernels.iter().find(|(_, targets)| !run(targets, capability));
    let (library, targets) = without.or(with_kernels.first())?;
    Some(Read { targets: built_for(targets), runs: without.is_none(), place: library.place.clone() })
}

/// Packages, beside torch and the engine, of which no library has kernels for the GPU.
pub(super) fn lacking_extensions<'a>(facts: &Facts<'a>, capability: ComputeCapability) -> Vec<(&'a Library, Vec<u16>)> {
    let engine = facts.engine.as_ref().map(|engine| engine.name);
    let libraries = || facts.environment.into_iter().flat_map(|environment| &environment.libraries);
    let kernels = |library: &'a Library| library.targets.known().filter(|targets| !targets.is_empty());
    let runs =
        |package: &str| libraries().filter(|other| other.package == package).filter_map(kernels).any(|targets| run(targets, capability));
    let mut found: Vec<(&Library, Vec<u16>)> = Vec::new();
    for library in libraries().filter(|library| library.package != "torch" && Some(library.package.as_str()) != engine) {
        let Some(targets) = kernels(library) else { continue };
        if !runs(&library.package) && !found.iter().any(|(other, _)| other.package == library.package) {
            found.push((library, built_for(targets)));
        }
    }
    found
}

/// The path of a library from its package directory.
fn module<'a>(environment: &Environment, library: &'a Library) -> &'a str {
    let below = |site: &String| library.place.strip_prefix(site.as_str()).map(|rest| rest.trim_start_matches('/'));
    environment.sites.iter().find_map(below).unwrap_or(&library.place)
}

/// Whether any of the kernels runs on a GPU.
fn run(targets: &[Target], capability: ComputeCapability) -> bool {
    full(targets).any(|target| runs_on(target, capability))
}

/// The entries of architectures that the library is built for: machine code that is not only of single kernels, and PTX.
fn full(targets: &[Target]) -> impl Iterator<Item = &Target> {
    let most = targets.iter().map(|target| target.entries).max().unwrap_or(0);
    targets.iter().filter(move |target| target.kind == CodeKind::Ptx || target.entries.saturating_mul(SHARE) >= most)
}

/// The architectures with machine code that a library is built for.
pub(super) fn built_for(targets: &[Target]) -> Vec<u16> {
    let mut sms: Vec<u16> = full(targets).filter(|target| target.kind == CodeKind::Cubin).map(|target| target.sm).collect();
    sms.sort_unstable();
    sms.dedup();
    sms
}

/// Whether an entry runs on a GPU of this compute capability.
fn runs_on(target: &Target, capability: ComputeCapability) -> bool {
    let built = ComputeCapability::from_sm(target.sm);
    match (target.scope, target.kind) {
        (Scope::Exact, _) => capability == built,
        (Scope::Compatible, CodeKind::Ptx) => capability >= built,
        (Scope::Compatible, CodeKind::Cubin) | (Scope::Family, _) => capability.runs_code_for(built),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn entry(sm: u16, kind: CodeKind, scope: Scope, entries: u32) -> Target {
        Target { sm, kind, scope, entries }
    }

    // The kernels of the PyTorch 2.11 wheel: single ones do not make it a build for their architecture.
    #[test]
    fn single_kernels_are_no_build() {
        use {CodeKind::Cubin, Scope::Compatible, Scope::Exact};
        let targets = [
            entry(75, Cubin, Compatible, 444),
            entry(86, Cubin, Compatible, 444),
            entry(89, Cubin, Compatible, 1),
            entry(100, Cubin, Compatible, 444),
            entry(100, Cubin, Exact, 59),
            entry(103, Cubin, Exact, 59),
        ];
        assert_eq!(built_for(&targets), [75, 86, 100]);
        let runs = |major, minor| run(&targets, ComputeCapability::new(major, minor));
        assert!(runs(7, 5) && runs(8, 9) && runs(10, 3) && !runs(7, 0) && !runs(9, 0) && !runs(12, 0));
    }

    // Machine code for one architecture alone runs nowhere else; PTX runs on everything newer.
    #[test]
    fn reach_depends_on_kind_and_scope() {
        let runs = |kind, scope, sm, major, minor| run(&[entry(sm, kind, scope, 9)], ComputeCapability::new(major, minor));
        assert!(runs(CodeKind::Cubin, Scope::Exact, 90, 9, 0) && !runs(CodeKind::Cubin, Scope::Exact, 100, 10, 3));
        assert!(runs(CodeKind::Cubin, Scope::Family, 100, 10, 3) && !runs(CodeKind::Cubin, Scope::Family, 100, 12, 0));
        assert!(runs(CodeKind::Ptx, Scope::Compatible, 80, 12, 0) && !runs(CodeKind::Ptx, Scope::Compatible, 80, 7, 5));
    }
}
