//! How bytes become a batch: few enough choices that a mutated byte is another problem of the same
//! kind.

use half::{bf16, f16};
use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};

/// A cost type.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Half,
    Bfloat16,
    Float,
    Double,
}

const KINDS: [Kind; 4] = [Kind::Half, Kind::Bfloat16, Kind::Float, Kind::Double];

impl Kind {
    /// The nearest number of this type.
    fn round(self, value: f64) -> f64 {
        match self {
            Kind::Half => f16::from_f64(value).to_f64(),
            Kind::Bfloat16 => bf16::from_f64(value).to_f64(),
            Kind::Float => f64::from(value as f32),
            Kind::Double => value,
        }
    }

    /// The number of this type with these bits.
    fn number_with_bits(self, bits: u64) -> f64 {
        match self {
            Kind::Half => f16::from_bits(bits as u16).to_f64(),
            Kind::Bfloat16 => bf16::from_bits(bits as u16).to_f64(),
            Kind::Float => f64::from(f32::from_bits(bits as u32)),
            Kind::Double => f64::from_bits(bits),
        }
    }

    /// 1 and `count` units in its last place, in this type.
    fn ulps_above_one(self, count: u8) -> f64 {
        let digits = match self {
            Kind::Half => 10,
            Kind::Bfloat16 => 7,
            Kind::Float => 23,
            Kind::Double => 52,
        };
        1.0 + f64::from(count) / (1u64 << digits) as f64
    }
}

/// What the costs of one batch are like.
#[derive(Clone, Copy, Debug)]
enum Palette {
    FewValues,
    Whole,
    Ulps,
    Extreme,
    Bits,
}

const PALETTES: [Palette; 5] = [
    Palette::FewValues,
    Palette::Whole,
    Palette::Ulps,
    Palette::Extreme,
    Palette::Bits,
];

const EXTREME: [f64; 24] = [
    0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324, 2.3e-308, 1.5e-45, -1e-40, 6e-8, 65504.0, -65504.0, 1e6,
    1e9, 3.4e38, -3.4e38, 1e20, 1e-20, 1.7e308, -1.7e308, 1e300, 4.5e15, 0.1, 1e-300,
];

impl Palette {
    fn draw(self, kind: Kind, maximize: bool, u: &mut Unstructured) -> arbitrary::Result<f64> {
        let byte: u8 = u.arbitrary()?;
        let value = match (self, byte) {
            (_, 255) => f64::NAN,
            (_, 254) => f64::INFINITY,
            (_, 253) => f64::NEG_INFINITY,
            (_, 224..=252) if maximize => f64::NEG_INFINITY,
            (_, 224..=252) => f64::INFINITY,
            (Palette::FewValues, _) => f64::from(byte % 4),
            (Palette::Whole, _) => f64::from(byte) - 112.0,
            (Palette::Ulps, _) => kind.ulps_above_one(byte % 8),
            (Palette::Extreme, _) => EXTREME[usize::from(byte) % EXTREME.len()],
            (Palette::Bits, _) => kind.number_with_bits(u.arbitrary()?),
        };
        Ok(kind.round(value))
    }
}

/// A batch; every cost is a number of the type that `kind` names.
#[derive(Debug)]
pub struct Case {
    pub kind: Kind,
    pub problems: usize,
    pub rows: usize,
    pub cols: usize,
    pub cost: Vec<f64>,
    /// One flag for all, or one each.
    pub row_mask: Vec<bool>,
    /// One flag for all, or one each.
    pub col_mask: Vec<bool>,
    /// One for all, or one each.
    pub cost_limit: Vec<f64>,
    pub maximize: bool,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let kind = *u.choose(&KINDS)?;
        let palette = *u.choose(&PALETTES)?;
        let problems = u.int_in_range(0..=3)?;
        let (rows, cols) = (u.int_in_range(0..=8)?, u.int_in_range(0..=8)?);
        let maximize = u.arbitrary()?;
        let draw_limit = |u: &mut Unstructured| {
            Ok(match u.int_in_range(0..=3)? {
                0 => palette.draw(kind, maximize, u)?,
                1 => f64::NEG_INFINITY,
                _ => f64::INFINITY,
            })
        };
        let mut cost_limit = vec![draw_limit(u)?];
        let mask = |length: usize, u: &mut Unstructured| match u.int_in_range(0..=7)? {
            0 => Ok(vec![false]),
            1..=3 => (0..problems * length).map(|_| u.ratio(3, 4)).collect(),
            _ => Ok(vec![true]),
        };
        let (row_mask, col_mask) = (mask(rows, u)?, mask(cols, u)?);
        let cost = (0..problems * rows * cols).map(|_| palette.draw(kind, maximize, u));
        let cost = cost.collect::<arbitrary::Result<_>>()?;
        // Drawn last, so that what is in the corpus keeps its meaning.
        if u.int_in_range(0..=3)? == 3 {
            let limits = (0..problems).map(|_| draw_limit(u));
            cost_limit = limits.collect::<arbitrary::Result<_>>()?;
        }
        Ok(Case {
            kind,
            problems,
            rows,
            cols,
            cost,
            row_mask,
            col_mask,
            cost_limit,
            maximize,
        })
    }
}
