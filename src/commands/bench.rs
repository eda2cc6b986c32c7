//! `bench`: find the devices, measure each, judge, report.

use std::path::Path;
use std::time::Duration;

use crate::bench::{self, Devices, Request};
use crate::catalog::Catalog;
use crate::cli::{BenchCommand, BenchFormat};
use crate::commands::{benched, output};
use crate::error::{EXIT_FINDINGS, EXIT_GOOD, Error};
use crate::finding::Severity;
use crate::measurement::collective::Library;
use crate::measurement::judge::collective::CollectiveJudged;
use crate::measurement::{Device, Family, judge};
use crate::probe;
use crate::report::{self, json};

/// How long a driver may take to start; creating contexts on a machine with many GPUs takes long.
const SET_UP: Duration = Duration::from_secs(60);

/// Runs `gpudoctor bench`.
///
/// # Errors
/// When a device that was named does not exist, or the file cannot be written.
pub fn run(command: &BenchCommand) -> Result<u8, Error> {
    if let Some(path) = &command.from {
        return again(command, path);
    }
    let step = Duration::from_secs(command.timeout);
    let request = Request { families: families(command), quick: command.quick, set_up: SET_UP.min(step.max(Duration::from_secs(5))), step };
    let found = bench::devices(&request);
    let Some(devices) = chosen(command, &found)? else { return Ok(none(&found)) };
    let catalog = Catalog::builtin();
    let mut judged: Vec<_> =
        devices.iter().map(|device| judge::judge(bench::measure(device, &request, output::progress), &catalog)).collect();
    if let (Some(together), Some(first)) = (together(command, &devices, &request, &catalog)?, judged.first_mut()) {
        first.take_together(together);
    }
    let failed = judged.iter().filter_map(judge::GpuJudged::worst).any(|worst| worst >= command.fail_on.severity());
    if let Some(stop) = &found.stop {
        let count = found.devices.len();
        output::failure(&Error::input(format!("the driver named {count} devices and then no more: {}", stop.reason())));
    }
    let code = if failed || found.stop.is_some() { EXIT_FINDINGS } else { EXIT_GOOD };
    let machine = json::bench::render(&judged, found.cuda, found.version.as_deref(), code).map_err(no_form)?;
    if let Some(path) = &command.output {
        benched::write(path, &machine).map_err(|error| Error::input(format!("the report cannot be written: {error}")))?;
    }
    benched::keep(&machine);
    output::print(&rendered(command.format, &judged, machine)?)?;
    Ok(code)
}

/// Shows a report that was written before.
fn again(command: &BenchCommand, path: &Path) -> Result<u8, Error> {
    let saved = benched::saved(path)?;
    let worst = saved.gpus.iter().filter_map(judge::GpuJudged::worst).max();
    // Findings decide anew; what the report failed for without one, such as a device that was lost while they were counted, stays.
    let code = match worst {
        Some(worst) if worst >= command.fail_on.severity() => EXIT_FINDINGS,
        Some(Severity::Warning | Severity::Error) => EXIT_GOOD,
        _ => saved.exit_code.min(EXIT_FINDINGS),
    };
    let machine = json::bench::render(&saved.gpus, saved.driver_cuda, saved.driver.as_deref(), code).map_err(no_form)?;
    output::print(&rendered(command.format, &saved.gpus, machine)?)?;
    Ok(code)
}

/// The report in the form that is asked for; `machine` is its JSON.
fn rendered(format: BenchFormat, gpus: &[judge::GpuJudged], machine: String) -> Result<String, Error> {
    Ok(match format {
        BenchFormat::Text => report::bench::render(gpus, output::width()),
        BenchFormat::Json => machine,
        BenchFormat::Markdown => report::markdown::bench::render(gpus),
        BenchFormat::Html => report::html::bench(gpus).map_err(no_form)?,
        BenchFormat::Svg => report::drawn::svg(gpus),
        BenchFormat::Junit => report::junit::bench(gpus).map_err(no_form)?,
        BenchFormat::Github => report::github::bench(gpus),
    })
}

fn no_form(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("the report has no such form: {error}"))
}

/// What NCCL does on all devices together, where it is asked for.
fn together(command: &BenchCommand, devices: &[Device], request: &Request, catalog: &Catalog) -> Result<Option<CollectiveJudged>, Error> {
    if !request.families.contains(&Family::Nccl) {
        return Ok(None);
    }
    if let Some(python) = &command.python {
        probe::is_environment(python).map_err(|error| Error::hinted(&error))?;
    }
    // One GPU reduces nothing, whatever its library.
    let library = if devices.len() < 2 {
        Ok(Library::default())
    } else {
        probe::nccl(command.python.as_deref(), catalog.libraries()).map_err(|error| error.to_string())
    };
    Ok(Some(judge::collective::judge(bench::all_reduce(devices, library, request, output::progress), devices, catalog)))
}

/// What is asked for, in the order in which it is measured.
fn families(command: &BenchCommand) -> Vec<Family> {
    let usual = |family: &Family| !command.quick || Family::QUICK.contains(family);
    let asked = |family: &Family| if command.only.is_empty() { usual(family) } else { command.only.contains(family) };
    Family::ALL.into_iter().filter(asked).collect()
}

/// The devices that are asked for; none where there is no device at all.
fn chosen(command: &BenchCommand, found: &Devices) -> Result<Option<Vec<Device>>, Error> {
    if found.devices.is_empty() {
        return Ok(None);
    }
    if let Some(missing) = command.gpu.iter().find(|index| !found.devices.iter().any(|device| device.index == **index)) {
        let last = found.devices.len() - 1;
        return Err(Error::input(format!("there is no GPU {missing}; CUDA shows 0 to {last}"))
            .with_hint("`CUDA_VISIBLE_DEVICES` hides GPUs and numbers the rest anew"));
    }
    let wanted = |device: &&Device| command.gpu.is_empty() || command.gpu.contains(&device.index);
    Ok(Some(found.devices.iter().filter(wanted).cloned().collect()))
}

/// Says that nothing can be measured, and why.
fn none(found: &Devices) -> u8 {
    let reason = found.stop.as_ref().map_or("CUDA shows no device", |stop| stop.reason());
    let error = Error::input(format!("no GPU can be measured: {reason}"))
        .with_hint("on the host, install the NVIDIA driver; in a container, start it with `--gpus all`");
    output::failure(&error);
    EXIT_FINDINGS
}
