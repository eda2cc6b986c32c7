//! Test data: what the kernel `fill` leaves in device memory, computed again on the host where a result is checked.

use half::{bf16, f16};

use super::driver::{Argument, Buffer, Error, Gpu, Kernel, Order};

/// Formats of test data. Values are signed, random in the mantissa, the sign and the lowest bit of the exponent: between 0.5
/// and 2 for data, so that nothing over- or underflows and every bit of the mantissa matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
    /// Eight bits with four of exponent and three of mantissa.
    E4m3,
}

impl Format {
    /// Bytes of a value.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::E4m3 => 1,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::E4m3 => "e4m3",
        }
    }

    /// The value of a pattern of bits.
    pub(super) fn value(self, bits: u16) -> f64 {
        match self {
            Self::F16 => f16::from_bits(bits).to_f64(),
            Self::Bf16 => bf16::from_bits(bits).to_f64(),
            Self::E4m3 => {
                let (sign, exponent, mantissa) = (bits >> 7 & 1, i32::from(bits >> 3 & 15), f64::from(bits & 7));
                let size =
                    if exponent == 0 { mantissa / 8.0 * (-6_f64).exp2() } else { (1.0 + mantissa / 8.0) * f64::from(exponent - 7).exp2() };
                if sign == 1 { -size } else { size }
            }
        }
    }

    /// Signed values between 0.5 and 2.
    const fn data(self) -> Cut {
        match self {
            Self::F16 => Cut { mask: 0x87ff_87ff, ones: 0x3800_3800 },
            Self::Bf16 => Cut { mask: 0x80ff_80ff, ones: 0x3f00_3f00 },
            Self::E4m3 => Cut { mask: 0x8f8f_8f8f, ones: 0x3030_3030 },
        }
    }

    /// Positive values between 2^-9 and 2^-7, as scales of weights are.
    const fn scales(self) -> Cut {
        match self {
            Self::F16 => Cut { mask: 0x07ff_07ff, ones: 0x1800_1800 },
            Self::Bf16 => Cut { mask: 0x00ff_00ff, ones: 0x3b00_3b00 },
            Self::E4m3 => Cut { mask: 0x0707_0707, ones: 0x0808_0808 },
        }
    }
}

/// Which bits of a random word are kept, and which are always set.
#[derive(Clone, Copy, Debug)]
struct Cut {
    mask: u32,
    ones: u32,
}

/// A buffer's content: endless random words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data {
    seed: u32,
    cut: Cut,
}

impl Data {
    /// New random words.
    pub(super) fn words() -> Self {
        Self { seed: fastrand::u32(..), cut: Cut { mask: u32::MAX, ones: 0 } }
    }

    /// New random values.
    pub(super) fn values(format: Format) -> Self {
        Self { seed: fastrand::u32(..), cut: format.data() }
    }

    /// New values of e4m3 below 2^-5, and half of them below its normal range.
    pub(super) fn smallest_e4m3() -> Self {
        Self { seed: fastrand::u32(..), cut: Cut { mask: 0x8f8f_8f8f, ones: 0 } }
    }

    /// New values of e4m3 between 128 and 352: its highest exponents, without the pattern that is not a number.
    pub(super) fn largest_e4m3() -> Self {
        Self { seed: fastrand::u32(..), cut: Cut { mask: 0x8b8b_8b8b, ones: 0x7070_7070 } }
    }

    /// New random scales.
    pub(super) fn scales(format: Format) -> Self {
        Self { seed: fastrand::u32(..), cut: format.scales() }
    }

    /// Random 32-bit floats between 1 and 2 in either sign, of which any 1024 have a sum without rounding: all are multiples of 2^-12, and
    /// sums stay below 2^11. `seed` makes them, so that each of several processes knows those of all.
    pub(super) const fn summable(seed: u32) -> Self {
        Self { seed, cut: Cut { mask: 0x807f_f800, ones: 0x3f80_0000 } }
    }

    /// Word `index`. The hash is `lowbias32` of github.com/skeeto/hash-prospector (public domain), as in `memory.cu`.
    pub(super) const fn word(self, index: usize) -> u32 {
        let mut x = (index as u32).wrapping_mul(0x9e37_79b9).wrapping_add(self.seed);
        x ^= x >> 16;
        x = x.wrapping_mul(0x7feb_352d);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        x & self.cut.mask | self.cut.ones
    }

    /// The value at `index`, as values of `format` stand in the words.
    pub(super) fn value(self, format: Format, index: usize) -> f64 {
        let each = 4 / format.size();
        let bits = self.word(index / each) >> (32 / each * (index % each));
        format.value(if format.size() == 1 { bits as u16 & 0xff } else { bits as u16 })
    }

    /// Fills the whole buffer from the host, where no kernel can.
    pub(super) fn write(self, buffer: &Buffer<'_>) -> Result<(), Error> {
        let words: Vec<u32> = (0..buffer.size() / 4).map(|index| self.word(index)).collect();
        buffer.write(&words)
    }

    /// Fills the whole buffer.
    pub(super) fn fill(self, gpu: &Gpu, kernel: &Kernel, buffer: &Buffer<'_>) -> Result<(), Error> {
        let words = buffer.size() / 4;
        let blocks = gpu.facts.multiprocessors * kernel.resident;
        let Cut { mask, ones } = self.cut;
        let numbers = [self.seed, mask, ones].map(Argument::Word);
        let mut arguments = vec![Argument::Wide(buffer.at(0)), Argument::Wide(words as u64)];
        arguments.extend(numbers);
        gpu.launch(kernel, blocks, Order::After, &arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data are between 0.5 and 2 in either sign, scales between 2^-9 and 2^-7.
    #[test]
    fn values_are_where_they_shall_be() {
        for format in [Format::F16, Format::Bf16, Format::E4m3] {
            let (data, scales) = (Data::values(format), Data::scales(format));
            let values: Vec<f64> = (0..1000).map(|i| data.value(format, i)).collect();
            assert!(values.iter().all(|value| (0.5..2.0).contains(&value.abs())), "{format:?}");
            assert!(values.iter().any(|value| *value < 0.0) && values.iter().any(|value| *value > 0.0), "{format:?}");
            if format != Format::E4m3 {
                assert!((0..1000).map(|i| scales.value(format, i)).all(|scale| (0.001953125..0.0078125).contains(&scale)), "{format:?}");
            }
        }
    }

    /// The smallest values of e4m3 are those that a format with a larger exponent could lose, the largest are numbers.
    #[test]
    fn values_at_the_ends_of_e4m3_are_numbers() {
        let values = |data: Data| (0..1000).map(|i| data.value(Format::E4m3, i).abs()).collect::<Vec<f64>>();
        let (smallest, largest) = (values(Data::smallest_e4m3()), values(Data::largest_e4m3()));
        assert!(smallest.iter().any(|value| (0.0..0.015625).contains(value) && *value > 0.0));
        assert!(smallest.iter().all(|value| *value < 0.03125));
        assert!(largest.iter().all(|value| (128.0..=352.0).contains(value)));
    }

    /// 1024 floats add up to the same in 32 and in 64 bits, in any order.
    #[test]
    fn summable_floats_add_up_without_rounding() {
        let values: Vec<f32> = (0..1024).map(|seed| f32::from_bits(Data::summable(seed).word(7))).collect();
        assert!(values.iter().all(|value| (1.0..2.0).contains(&value.abs())) && values.iter().any(|value| *value < 0.0));
        let (forward, backward): (f32, f32) = (values.iter().sum(), values.iter().rev().sum());
        let exact: f64 = values.iter().copied().map(f64::from).sum();
        assert_eq!((f64::from(forward), f64::from(backward)), (exact, exact));
    }

    /// 0x7e is the largest value of e4m3, 0x01 its smallest.
    #[test]
    fn e4m3_reads_as_its_standard_says() {
        assert_eq!(Format::E4m3.value(0x7e), 448.0);
        assert_eq!(Format::E4m3.value(0x01), (-9_f64).exp2());
        assert_eq!(Format::E4m3.value(0xb8), -1.0);
    }
}
