//! Why something is slow, as far as what was read meanwhile tells.

use super::Judged;
use crate::catalog::Gpu;
use crate::finding::{Evidence, Fix};
use crate::measurement::{Conditions, Launch, Measured};

/// A read rate that changed by more than this while a family was measured means other work, or heat.
const DRIFT: f64 = 0.03;
/// A slowest group that took so much longer than the fastest means other work.
const UNEVEN: f64 = 1.25;

/// The likeliest cause, what shows it, and what to do. `gpu` is what the catalogue knows of the card.
pub(super) fn likely(result: &Judged, family: &Measured, gpu: Option<&Gpu>) -> Cause {
    let conditions = &result.sample.conditions;
    if result.sample.launch == Launch::CopyEngine {
        if let Some(found) = narrow_link(conditions, gpu) {
            return found;
        }
    } else if !conditions.throttling.is_empty() {
        // The engines that copy to and from the host do not run with the clock that is lowered.
        return lowered_clocks(conditions);
    }
    let drift = family.drift().filter(|drift| drift.abs() > DRIFT);
    let time = result.sample.time;
    if drift.is_some() || time.slowest > UNEVEN * time.fastest {
        let mut found = vec![evidence("slowest of the fastest", format!("{:.2}", time.slowest / time.fastest), "groups of launches")];
        found.extend(drift.map(|drift| evidence("read rate at the end", format!("{:+.1} %", drift * 100.0), "against the start")));
        return (
            "times vary, as they do when something else uses the GPU".to_owned(),
            found,
            vec![Fix::edit("see what else runs on it, and measure again").with_command("nvidia-smi pmon -c 1")],
        );
    }
    if let Some(found) = error_correction(result, gpu) {
        return found;
    }
    (
        "nothing that was read tells why".to_owned(),
        Vec::new(),
        vec![
            Fix::edit("see clocks, power limit, ECC and what else runs").with_command("nvidia-smi -q -d PERFORMANCE,CLOCK,POWER,ECC,PIDS"),
        ],
    )
}

/// A cause, what shows it, and what to do.
type Cause = (String, Vec<Evidence>, Vec<Fix>);

fn evidence(fact: &str, value: String, source: &str) -> Evidence {
    Evidence { fact: fact.to_owned(), value, source: source.to_owned() }
}

/// A link with fewer lanes or of an older generation than the card has: as it runs now, or as the slot lets it.
fn narrow_link(conditions: &Conditions, gpu: Option<&Gpu>) -> Option<Cause> {
    let now = conditions.pcie?;
    let own = gpu.map(|gpu| (u32::from(gpu.links.pcie_generation), u32::from(gpu.links.pcie_lanes)));
    let most = conditions.pcie_most.or(own)?;
    let text = |(generation, width): (u32, u32)| format!("PCI Express {generation}.0 ×{width}");
    let query =
        "nvidia-smi --query-gpu=index,pcie.link.gen.current,pcie.link.gen.max,pcie.link.width.current,pcie.link.width.max --format=csv";
    if now != most {
        return Some((
            format!("its link runs as {} of {}", text(now), text(most)),
            vec![evidence("link", text(now), "NVML during the copy"), evidence("link at most", text(most), "NVML")],
            vec![Fix::edit("see which slots have all lanes, and seat the card in one; a riser can cost lanes too").with_command(query)],
        ));
    }
    let own = own.filter(|own| now.0 < own.0 || now.1 < own.1)?;
    Some((
        format!("its slot gives {} to a card of {}", text(now), text(own)),
        vec![evidence("link", text(now), "NVML during the copy"), evidence("link of the card", text(own), "its data sheet, rules/gpus")],
        vec![Fix::edit("put the card into a slot with all lanes of its generation; the board's manual says which").with_command(query)],
    ))
}

/// What lowers the clocks: a power limit, heat, or the board.
fn lowered_clocks(conditions: &Conditions) -> Cause {
    let reasons = conditions.throttling.join(", ");
    let mut found = vec![evidence("throttling", reasons.clone(), "nvmlDeviceGetCurrentClocksThrottleReasons during the measurement")];
    found.extend(conditions.sm_mhz.map(|clock| evidence("SM clock", format!("{clock} MHz"), "NVML")));
    found.extend(conditions.power_mw.map(|power| evidence("power", format!("{} W", power / 1000), "NVML")));
    let limit = |(now, usual): (u32, u32)| format!("{} W of {} W", now / 1000, usual / 1000);
    found.extend(conditions.power_limit_mw.map(|limits| evidence("power limit", limit(limits), "NVML")));
    found.extend(conditions.temperature_c.map(|temperature| evidence("temperature", format!("{temperature} °C"), "NVML")));
    let mut fixes = Vec::new();
    if conditions.throttling.iter().any(|reason| reason.contains("thermal")) {
        fixes.push(
            Fix::edit("let air to the card: look at fans, filters and what stands before it").with_command("nvidia-smi -q -d TEMPERATURE"),
        );
    }
    let capped = conditions.throttling.iter().any(|reason| reason.contains("power cap"));
    if let Some((_, usual)) = conditions.power_limit_mw.filter(|(now, usual)| capped && now < usual) {
        let mut raise = Fix::edit("raise the power limit to what the card comes with, if power and cooling allow it")
            .with_command(format!("sudo nvidia-smi -pl {}", usual / 1000));
        raise.needs = vec!["root".to_owned()];
        fixes.push(raise);
    }
    fixes.push(Fix::edit("see power limit, temperature and clocks").with_command("nvidia-smi -q -d PERFORMANCE,POWER,TEMPERATURE,CLOCK"));
    (format!("the GPU lowered its clocks meanwhile: {reasons}"), found, fixes)
}

/// Error correction that is kept in the memory itself: GDDR has no bits of its own for it, HBM has.
fn error_correction(result: &Judged, gpu: Option<&Gpu>) -> Option<Cause> {
    let kind = gpu.and_then(|gpu| gpu.memory.kind.clone()).filter(|kind| kind.starts_with("GDDR"))?;
    if result.sample.conditions.ecc != Some(true) || !result.sample.kernel.starts_with("hbm") {
        return None;
    }
    let mut off = Fix::edit("measure with error correction off, if nothing is lost by a flipped bit; it changes at the next reset")
        .with_command("sudo nvidia-smi -e 0");
    off.needs = vec!["root".to_owned(), "reboot".to_owned()];
    Some((
        format!("error correction is on, which takes a part of the bandwidth of {kind}"),
        vec![
            evidence("ECC", "on".to_owned(), "nvmlDeviceGetEccMode during the measurement"),
            evidence("memory", kind, "its data sheet, rules/gpus"),
        ],
        vec![off],
    ))
}
