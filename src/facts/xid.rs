//! Faults in the kernel log: `NVRM: Xid (PCI:0000:18:00): 79, pid=…, GPU has fallen off the bus.`

use crate::capture::Capture;
use crate::catalog::{Catalog, XidClass};
use crate::facts::gpu::Xid;
use crate::reading::Reading;

/// The faults of one card, one entry a number, in the order of the log.
pub(super) fn of_card(capture: &Capture, catalog: &Catalog, address: Option<&str>) -> Reading<Vec<Xid>> {
    let Some(address) = address else { return Reading::unreadable("the card's place on the bus is not known") };
    capture.kernel_log.as_ref().map(|lines| {
        let mut faults: Vec<Xid> = Vec::new();
        for line in lines {
            let Some((_, code)) = fault(line).filter(|(place, _)| same_card(place, address)) else { continue };
            match faults.iter_mut().find(|known| known.code == code) {
                Some(known) => {
                    known.times += 1;
                    known.line = shown(line);
                }
                None => faults.push(described(code, line, catalog)),
            }
        }
        faults
    })
}

fn described(code: u64, line: &str, catalog: &Catalog) -> Xid {
    let rule = catalog.xids().get(code);
    Xid {
        code,
        name: rule.map_or_else(|| "not in the list of known faults".to_owned(), |rule| rule.name.clone()),
        class: rule.map_or(XidClass::Application, |rule| rule.class).name().to_owned(),
        action: rule.map_or_else(|| "look the number up in NVIDIA's Xid catalogue".to_owned(), |rule| rule.action.clone()),
        times: 1,
        line: shown(line),
    }
}

/// The card and the number of a fault's line.
fn fault(line: &str) -> Option<(&str, u64)> {
    let (_, rest) = line.split_once("NVRM: Xid (PCI:")?;
    let (place, rest) = rest.split_once("):")?;
    let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    Some((place, digits.parse().ok()?))
}

/// Whether `0000:18:00` of the log is `0000:18:00.0` of the bus.
fn same_card(place: &str, address: &str) -> bool {
    let bare = address.split('.').next().unwrap_or(address);
    place.split('.').next().unwrap_or(place).eq_ignore_ascii_case(bare)
}

/// The part of a line that says what happened, not too long.
fn shown(line: &str) -> String {
    let start = line.find("NVRM:").unwrap_or(0);
    line.get(start..).unwrap_or(line).chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_belongs_to_its_card() {
        let lines = [
            "[12.3] NVRM: Xid (PCI:0000:18:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
            "NVRM: Xid (PCI:0000:18:00): 79, GPU has fallen off the bus.",
            "NVRM: Xid (PCI:0000:3b:00): 31, pid=4242, name=python3",
            "NVRM: GPU at PCI:0000:18:00: GPU-00000000",
        ];
        let capture = Capture { kernel_log: Reading::Known(lines.map(str::to_owned).to_vec()), ..Capture::default() };
        let faults = of_card(&capture, &Catalog::builtin(), Some("0000:18:00.0")).into_known().expect("readable");
        assert_eq!(faults.iter().map(|fault| (fault.code, fault.times, fault.class.as_str())).collect::<Vec<_>>(), [(79, 2, "hardware")]);
    }

    #[test]
    fn no_log_is_no_answer() {
        let capture = Capture { kernel_log: Reading::unreadable("no permission"), ..Capture::default() };
        assert_eq!(of_card(&capture, &Catalog::builtin(), Some("0000:18:00.0")).reason(), Some("no permission"));
    }
}
