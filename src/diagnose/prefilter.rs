//! Many texts looked for at once, whatever their case, in one pass over the bytes of a line.
//!
//! Each text is known by the four of its letters that ordinary lines hold least often. A table of bits tells which groups of four
//! letters are any text's: ordinary lines pass it at the speed of memory, and only where it says yes are texts compared. It takes a
//! hundredth of the time and the memory that an automaton over all texts takes to be built, and a log is often short.

use std::borrow::Cow;

/// The number of a text in a [`Prefilter`].
pub(super) type TextId = usize;

/// Bits of a slot's number.
const SLOT_BITS: u32 = 15;

const SLOTS: usize = 1 << SLOT_BITS;

/// Letters that are known by their place: three choose the slot, the fourth one of its bits.
const WIDTH: usize = 4;

/// The texts, ready to be looked for.
#[derive(Debug)]
pub(super) struct Prefilter {
    texts: Vec<Cow<'static, str>>,
    /// For each slot the fourth letters that may follow, by their lowest three bits.
    followers: Box<[u8; SLOTS]>,
    /// For each slot where its texts start in `entries`; one more than there are slots.
    starts: Vec<u32>,
    entries: Vec<Entry>,
}

/// A text and where in it its group of letters is.
#[derive(Clone, Copy, Debug)]
struct Entry {
    text: u32,
    offset: u32,
}

impl Prefilter {
    /// A filter for `texts` of three letters or more, in ASCII lower case. Groups of letters that `ordinary` holds are avoided.
    pub(super) fn new(texts: Vec<Cow<'static, str>>, ordinary: &str) -> Self {
        let common = Common::new(ordinary.as_bytes());
        let mut followers = Box::new([0_u8; SLOTS]);
        let mut placed: Vec<(usize, Entry)> = Vec::with_capacity(texts.len());
        for (number, text) in texts.iter().enumerate() {
            let Some((offset, group)) = common.rarest(text.as_bytes()) else { continue };
            let slot = slot(group);
            followers[slot] |= match group.get(WIDTH - 1) {
                Some(letter) => bit(*letter),
                None => u8::MAX,
            };
            placed.push((slot, Entry { text: number as u32, offset: offset as u32 }));
        }
        placed.sort_by_key(|(slot, _)| *slot);
        let mut starts = Vec::with_capacity(SLOTS + 1);
        let mut before = 0;
        for slot in 0..=SLOTS {
            while placed.get(before).is_some_and(|(placed, _)| *placed < slot) {
                before += 1;
            }
            starts.push(before as u32);
        }
        Self { texts, followers, starts, entries: placed.into_iter().map(|(_, entry)| entry).collect() }
    }

    /// A text by its number.
    #[cfg(test)]
    pub(super) fn text(&self, text: TextId) -> &str {
        &self.texts[text]
    }

    /// Whether `bytes` hold any of the texts.
    pub(super) fn is_match(&self, bytes: &[u8]) -> bool {
        self.any(bytes, |_| true)
    }

    /// Adds the texts that `bytes` hold to `found`; one that they hold twice may be there twice.
    pub(super) fn find(&self, bytes: &[u8], found: &mut Vec<TextId>) {
        self.any(bytes, |text| {
            found.push(text);
            false
        });
    }

    /// Shows the texts in `bytes` to `ends`, until it says yes.
    fn any(&self, bytes: &[u8], mut ends: impl FnMut(TextId) -> bool) -> bool {
        for (at, group) in bytes.array_windows::<WIDTH>().enumerate() {
            if self.followers[slot(group)] & bit(group[WIDTH - 1]) != 0 && self.compare(bytes, at, &mut ends) {
                return true;
            }
        }
        // The last group has no fourth letter: a text of three letters may be it.
        bytes.len().checked_sub(WIDTH - 1).is_some_and(|at| self.followers[slot(&bytes[at..])] != 0 && self.compare(bytes, at, &mut ends))
    }

    /// Compares the texts whose group of letters may stand at `at`.
    #[cold]
    fn compare(&self, bytes: &[u8], at: usize, ends: &mut impl FnMut(TextId) -> bool) -> bool {
        let slot = slot(&bytes[at..]);
        let (start, end) = (self.starts[slot] as usize, self.starts[slot + 1] as usize);
        self.entries[start..end].iter().any(|entry| {
            let text = self.texts[entry.text as usize].as_bytes();
            let here = at.checked_sub(entry.offset as usize).and_then(|from| bytes.get(from..from + text.len()));
            here.is_some_and(|here| here.eq_ignore_ascii_case(text)) && ends(entry.text as usize)
        })
    }
}

/// The slot of the first three letters of `group`. The bit that tells cases apart is set in all of them, so that other characters
/// fall together as well: texts are compared afterwards.
fn slot(group: &[u8]) -> usize {
    let letters = u32::from_le_bytes([group[0] | 0x20, group[1] | 0x20, group[2] | 0x20, 0]);
    (letters.wrapping_mul(0x9e37_79b1) >> (u32::BITS - SLOT_BITS)) as usize
}

/// The bit of a fourth letter, the same in both cases.
const fn bit(letter: u8) -> u8 {
    1 << (letter & 7)
}

/// How often groups of letters stand in ordinary lines.
struct Common {
    /// By slot and bit.
    counts: Vec<u16>,
}

impl Common {
    fn new(ordinary: &[u8]) -> Self {
        let mut counts = vec![0_u16; SLOTS * 8];
        for group in ordinary.windows(WIDTH) {
            let place = Self::place(group);
            counts[place] = counts[place].saturating_add(1);
        }
        Self { counts }
    }

    fn place(group: &[u8]) -> usize {
        slot(group) * 8 + usize::from(group[WIDTH - 1] & 7)
    }

    /// The group of `text` that is rarest, and where it starts; all of a text of three letters.
    fn rarest<'t>(&self, text: &'t [u8]) -> Option<(usize, &'t [u8])> {
        if text.len() == WIDTH - 1 {
            return Some((0, text));
        }
        text.windows(WIDTH).enumerate().min_by_key(|(_, group)| self.counts[Self::place(group)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(texts: &[&'static str], line: &str) -> Vec<TextId> {
        let filter = Prefilter::new(texts.iter().copied().map(Cow::Borrowed).collect(), "out of the ordinary");
        let mut found = Vec::new();
        filter.find(line.as_bytes(), &mut found);
        found.sort_unstable();
        found.dedup();
        assert_eq!(filter.is_match(line.as_bytes()), !found.is_empty(), "{line}");
        found
    }

    #[test]
    fn texts_are_found_in_any_case_and_place() {
        let texts = ["out of memory", "xid", "ecc error"];
        assert_eq!(found(&texts, "CUDA Out Of Memory"), [0]);
        assert_eq!(found(&texts, "out of memory: Xid 48, an ECC error"), [0, 1, 2]);
        assert_eq!(found(&texts, "xid"), [1]);
        assert_eq!(found(&texts, "an XID"), [1]);
        assert!(found(&texts, "out of memo").is_empty());
        assert!(found(&texts, "xi").is_empty());
        assert!(found(&texts, "").is_empty());
    }

    #[test]
    fn texts_that_share_their_letters_are_told_apart() {
        let texts = ["no space left", "no space left on device", "o space l"];
        assert_eq!(found(&texts, "No space left on device"), [0, 1, 2]);
        assert_eq!(found(&texts, "No space left"), [0, 2]);
    }

    #[test]
    fn letters_outside_ascii_are_compared_as_they_are() {
        assert_eq!(found(&["已杀死", "总线错误"], "bash: 已杀死"), [0]);
    }
}
