//! A bar of text columns: eighth blocks, or `#` where only ASCII shows.

/// The characters that a bar is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Block elements, an eighth of a column fine.
    Blocks,
    /// `#`, a whole column fine.
    Ascii,
}

/// Block elements by eighths of a column.
const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A bar that fills `share` of `width` columns; the rest stays blank up to `width`. A share outside 0 to 1 is
/// cut; a share above zero shows at least the smallest mark; only a full share fills the last column.
pub fn bar(share: f64, width: usize, glyphs: Glyphs) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let steps = match glyphs {
        Glyphs::Blocks => 8,
        Glyphs::Ascii => 1,
    };
    let all = width * steps;
    let mut filled = (share * all as f64).round() as usize;
    if share > 0.0 {
        filled = filled.max(1).min(all);
    }
    if share < 1.0 {
        filled = filled.min(all.saturating_sub(1));
    }
    let (columns, rest) = (filled / steps, filled % steps);
    let (full, part) = match glyphs {
        Glyphs::Blocks => ('█', (rest > 0).then(|| EIGHTHS[rest])),
        Glyphs::Ascii => ('#', None),
    };
    let mut drawn: String = std::iter::repeat_n(full, columns).chain(part).collect();
    let blank = width.saturating_sub(columns + usize::from(part.is_some()));
    drawn.extend(std::iter::repeat_n(' ', blank));
    drawn
}

/// A share as a whole percentage that never rounds up to 100: `99 %`.
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "- %".to_owned();
    }
    let rounded = (share * 100.0).round();
    let shown = if share < 1.0 && rounded >= 100.0 { 99.0 } else { rounded };
    format!("{shown:.0} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_wide_as_asked() {
        for width in [0, 1, 7, 20] {
            for share in [-1.0, 0.0, 0.001, 0.5, 0.993, 1.0, 2.0, f64::NAN, f64::INFINITY] {
                for glyphs in [Glyphs::Blocks, Glyphs::Ascii] {
                    assert_eq!(bar(share, width, glyphs).chars().count(), width, "{share} in {width}");
                }
            }
        }
    }

    #[test]
    fn an_eighth_of_a_column_shows() {
        assert_eq!(bar(0.5, 4, Glyphs::Blocks), "██  ");
        assert_eq!(bar(0.53125, 4, Glyphs::Blocks), "██▏ ");
        assert_eq!(bar(0.5, 4, Glyphs::Ascii), "##  ");
    }

    #[test]
    fn nearly_full_is_not_full_and_nearly_empty_is_not_empty() {
        assert_eq!(bar(0.9999, 4, Glyphs::Blocks), "███▉");
        assert_eq!(bar(0.0001, 4, Glyphs::Blocks), "▏   ");
        assert_eq!(bar(1.0, 4, Glyphs::Blocks), "████");
        assert_eq!(percent(0.999), "99 %");
        assert_eq!(percent(1.0), "100 %");
    }
}
