//! Why something is slow, as far as what was read meanwhile tells.

use super::Judged;
use crate::finding::{Evidence, Fix};
use crate::measurement::{Launch, Measured};

/// A read rate that changed by more than this while a family was measured means other work, or heat.
const DRIFT: f64 = 0.03;
/// A slowest group that took so much longer than the fastest means other work.
const UNEVEN: f64 = 1.25;

/// The likeliest cause, what shows it, and what to do.
pub(super) fn likely(result: &Judged, family: &Measured) -> (String, Vec<Evidence>, Vec<Fix>) {
    let conditions = &result.sample.conditions;
    let evidence = |fact: &str, value: String, source: &str| Evidence { fact: fact.to_owned(), value, source: source.to_owned() };
    if let (Launch::CopyEngine, Some(now), Some(most)) = (result.sample.launch, conditions.pcie, conditions.pcie_most)
        && now != most
    {
        let text = |(generation, width): (u32, u32)| format!("PCI Express {generation}.0 ×{width}");
        return (
            format!("its link runs as {} of {}", text(now), text(most)),
            vec![evidence("link", text(now), "NVML during the copy"), evidence("link at most", text(most), "NVML")],
            vec![
                Fix::edit("see which slots have all lanes, and seat the card in one; a riser can cost lanes too")
                    .with_command("nvidia-smi --query-gpu=index,pcie.link.gen.current,pcie.link.gen.max,pcie.link.width.current,pcie.link.width.max --format=csv"),
            ],
        );
    }
    if !conditions.throttling.is_empty() {
        let reasons = conditions.throttling.join(", ");
        let mut found = vec![evidence("throttling", reasons.clone(), "nvmlDeviceGetCurrentClocksThrottleReasons during the measurement")];
        found.extend(conditions.sm_mhz.map(|clock| evidence("SM clock", format!("{clock} MHz"), "NVML")));
        found.extend(conditions.power_mw.map(|power| evidence("power", format!("{} W", power / 1000), "NVML")));
        let limit = |(now, usual): (u32, u32)| format!("{} W of {} W", now / 1000, usual / 1000);
        found.extend(conditions.power_limit_mw.map(|limits| evidence("power limit", limit(limits), "NVML")));
        found.extend(conditions.temperature_c.map(|temperature| evidence("temperature", format!("{temperature} °C"), "NVML")));
        return (
            format!("the GPU lowered its clocks meanwhile: {reasons}"),
            found,
            vec![Fix::edit("see power limit, temperature and clocks").with_command("nvidia-smi -q -d PERFORMANCE,POWER,TEMPERATURE,CLOCK")],
        );
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
    (
        "nothing that was read tells why".to_owned(),
        Vec::new(),
        vec![
            Fix::edit("see clocks, power limit, ECC and what else runs").with_command("nvidia-smi -q -d PERFORMANCE,CLOCK,POWER,ECC,PIDS"),
        ],
    )
}
