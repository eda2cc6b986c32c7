//! Extensions: whether they are built for the PyTorch and the Python that are here, and whether they can be read at all.

use crate::capture::library::{Library, Symbols};
use crate::check::environment::{fired, is_vital};
use crate::check::facts::{Facts, evidence};
use crate::check::packages::finding;
use crate::check::{Outcome, fix};
use crate::finding::{Evidence, Finding, Severity};
use crate::reading::Reading;

/// What a check says where no library was read.
pub(super) fn unread() -> Outcome {
    Outcome::Skips("no library of torch was found to read".to_owned())
}

/// Every extension finds the symbols of PyTorch that it needs.
pub(super) fn other_torch(facts: &Facts<'_>) -> Outcome {
    let (Some(environment), Some(torch)) = (facts.environment, &facts.torch) else {
        return Outcome::Skips("torch is not installed".to_owned());
    };
    let extensions = environment.libraries.iter().filter(|library| library.package != "torch");
    let known: Vec<(&Library, &Symbols)> = extensions.filter_map(|library| Some((library, library.symbols.known()?))).collect();
    if known.is_empty() {
        return Outcome::Skips("no extension uses the libraries of torch".to_owned());
    }
    let id = "extension-built-for-other-torch";
    let mut findings: Vec<Finding> = Vec::new();
    let mut named: Vec<&str> = Vec::new();
    let broken = |symbols: &Symbols| symbols.missing_count > 0;
    for (library, symbols) in known.iter().filter(|(library, symbols)| broken(symbols) || other_name(facts, library).is_some()) {
        // One finding for a package: its modules fail alike.
        if named.contains(&library.package.as_str()) {
            continue;
        }
        named.push(&library.package);
        let package = environment.package(&library.package);
        let version = package.map_or("", |package| package.version.as_str());
        let title = format!("{} {version}", library.package);
        let built_abi = symbols.cxx11_abi;
        let torch_abi = torch.build.and_then(|build| build.cxx11_abi);
        let why = match (built_abi, torch_abi, other_name(facts, library)) {
            (Some(built), Some(own), _) if built != own => {
                format!("is built with the {} C++ ABI, and {} with the {} one", abi(built), torch.title(), abi(own))
            }
            (_, _, Some(other)) => format!("is built for torch {other}, and {} is installed", torch.title()),
            _ => format!("needs {} symbols that {} does not have", symbols.missing_count, torch.title()),
        };
        let message = format!("{title} {why}; it must be built for the torch that imports it");
        let mut read: Vec<Evidence> = symbols.missing.iter().map(|symbol| evidence("undefined symbol", symbol, &library.place)).collect();
        read.extend(torch.version.as_ref().map(|version| evidence("torch.version", version, torch.place())));
        let again = format!("{}=={}", library.package, version.split('+').next().unwrap_or(version));
        let options = ["--force-reinstall", "--no-deps", "--no-cache-dir", &again].map(str::to_owned);
        let mut fixes = vec![fix::install(
            facts,
            id,
            format!("install {} again, built for this torch", library.package),
            &options,
            torch.cuda.as_ref(),
        )];
        if facts.engine.as_ref().is_none_or(|engine| engine.name != library.package) && !is_required(facts, &library.package) {
            fixes.push(fix::remove(facts, id, "or remove it, if nothing needs it".to_owned(), std::slice::from_ref(&library.package)));
        }
        let severity = if is_vital(facts, &library.package) { Severity::Error } else { Severity::Warning };
        findings.push(Finding { severity, ..finding(id, &format!("package:{}", library.package), message, read, fixes) });
    }
    fired(findings)
}

fn is_required(facts: &Facts<'_>, package: &str) -> bool {
    let Some(environment) = facts.environment else { return false };
    environment.packages.iter().any(|other| other.metadata.requires.iter().any(|required| required.name == package))
}

const fn abi(new: bool) -> &'static str {
    if new { "new (cxx11)" } else { "old" }
}

/// The torch in a version such as `2.7.4.post1+cu12torch2.5cxx11abifalse`, where it is another than the installed one.
fn other_name<'a>(facts: &Facts<'a>, library: &Library) -> Option<&'a str> {
    let package = facts.environment?.package(&library.package)?;
    let (_, local) = package.version.split_once('+')?;
    let (_, rest) = local.split_once("torch")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let named = rest.get(..end)?.trim_end_matches('.');
    let installed = facts.torch.as_ref()?.version.as_ref()?;
    let own = format!("{}.{}", installed.major(), installed.minor());
    let same = named == own || named.starts_with(&format!("{own}."));
    (!named.is_empty() && !same).then_some(named)
}

/// Every extension module is for the interpreter of the environment.
pub(super) fn other_python(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = facts.environment.filter(|environment| !environment.libraries.is_empty()) else { return unread() };
    let Some(python) = &environment.python else { return Outcome::Skips("the version of Python is not known".to_owned()) };
    let id = "extension-built-for-other-python";
    let wanted: String = python.chars().filter(|c| *c != '.').collect();
    let findings = environment.libraries.iter().filter_map(|library| {
        let name = library.place.rsplit('/').next()?;
        let (_, rest) = name.split_once(".cpython-")?;
        let built = rest.split(['-', '.']).next()?;
        if built == wanted {
            return None;
        }
        let (first, second) = built.split_at_checked(1)?;
        let message = format!(
            "`{name}` of {} is built for Python {first}.{second}; the environment has {python}, which does not find it",
            library.package
        );
        let version = environment.package(&library.package).map_or("", |package| package.version.as_str());
        let options = ["--force-reinstall".to_owned(), "--no-deps".to_owned(), format!("{}=={version}", library.package)];
        let fixes = vec![fix::install(facts, id, "install it with the interpreter of this environment".to_owned(), &options, None)];
        let severity = if is_vital(facts, &library.package) { Severity::Error } else { Severity::Warning };
        let read = vec![evidence("module", name, &library.place), evidence("python.version", python, &environment.root)];
        Some(Finding { severity, ..finding(id, &format!("package:{}", library.package), message, read, fixes) })
    });
    fired(findings.collect())
}

/// Every library can be read: one that is cut off cannot be loaded either.
pub(super) fn unreadable(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = facts.environment.filter(|environment| !environment.libraries.is_empty()) else { return unread() };
    let id = "library-unreadable";
    let findings = environment.libraries.iter().filter_map(|library| {
        let Reading::Unreadable(reason) = &library.targets else { return None };
        let version = environment.package(&library.package).map_or("", |package| package.version.as_str());
        let message = format!("`{}` of {} cannot be read: {reason}; the loader needs it whole", file_name(library), library.package);
        let options = [
            "--force-reinstall".to_owned(),
            "--no-deps".to_owned(),
            "--no-cache-dir".to_owned(),
            format!("{}=={version}", library.package),
        ];
        let fixes = vec![fix::install(facts, id, "install it again".to_owned(), &options, None)];
        let severity = if is_vital(facts, &library.package) { Severity::Error } else { Severity::Warning };
        let read = vec![evidence("library", reason, &library.place)];
        Some(Finding { severity, ..finding(id, &format!("package:{}", library.package), message, read, fixes) })
    });
    fired(findings.collect())
}

fn file_name(library: &Library) -> &str {
    library.place.rsplit('/').next().unwrap_or(&library.place)
}
