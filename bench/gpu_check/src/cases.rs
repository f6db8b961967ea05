//! The cases by name: what is checked, and what is timed.

use std::fmt;

use hungarian_loss::batch::Shape;
use hungarian_random::Random;
use hungarian_twin::parity::{FAMILIES, Family, Traits};

use crate::options::Options;

/// A type of costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// f32.
    F32,
    /// f64.
    F64,
    /// f16.
    F16,
    /// bf16.
    Bf16,
}

const TYPES: [Type; 4] = [Type::F32, Type::F64, Type::F16, Type::Bf16];

/// A batch whose answer is compared with the CPU's.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    number: usize,
    /// The type of costs.
    pub costs: Type,
    /// How costs are drawn.
    pub family: Family,
    /// Sizes.
    pub shape: Shape,
    /// What else is done to the batch.
    pub traits: Traits,
    /// One of the few that `--quick` leaves.
    is_quick: bool,
}

/// A batch of uniform f32 costs that is timed.
#[derive(Clone, Copy, Debug)]
pub struct Timed {
    /// Sizes.
    pub shape: Shape,
    /// What torch-hungarian publishes for an A100, in ms.
    pub published: Option<f32>,
}

/// A batch that is checked or timed.
#[derive(Clone, Copy, Debug)]
pub enum Case {
    /// Is it right?
    Check(Check),
    /// How fast is it?
    Time(Timed),
}

/// Rows, columns and families of the quick checks, one problem each: a warp's and a block's search,
/// with more rows than columns and fewer, ties, near ties, and what f64 must decide. The traits
/// follow in letters: masks, limit, maximize, forbidden pairs, spoilt entries (n).
const QUICK: [(usize, usize, Family, &str); 11] = [
    (0, 4, Family::Uniform, ""),
    (1, 7, Family::Whole, "n"),
    (16, 16, Family::Uniform, "f"),
    (16, 16, Family::FewValues, "ml"),
    (20, 33, Family::Line, "m"),
    (40, 12, Family::Whole, "lx"),
    (64, 64, Family::Equal, ""),
    (100, 100, Family::Uniform, ""),
    (129, 128, Family::WideRange, ""),
    (131, 140, Family::UlpsApart, "m"),
    (150, 133, Family::Huge, ""),
];

/// Sizes for all families: both kinds of search, and where one gives way to the other.
const SMALL: [(usize, usize); 14] = [
    (1, 1),
    (1, 7),
    (7, 1),
    (3, 3),
    (8, 8),
    (16, 16),
    (20, 33),
    (40, 12),
    (64, 64),
    (100, 100),
    (127, 128),
    (129, 128),
    (131, 140),
    (200, 90),
];

/// Problems of a batch of those sizes, at most. With more, drawing them took longer than all else:
/// minutes, on one thread.
const MOST_PROBLEMS: usize = 100;

/// Sizes for a few families: beyond shared memory, and up to what the kernels take.
const LARGE: [(usize, usize); 8] = [
    (300, 300),
    (300, 600),
    (700, 300),
    (1000, 1000),
    (1025, 1030),
    (3, 4096),
    (4096, 5),
    (2000, 2100),
];

/// Problems, rows and columns where nothing is to be matched.
const EMPTY: [(usize, usize, usize); 4] = [(0, 3, 3), (2, 0, 0), (2, 0, 4), (2, 4, 0)];

const TIMED: [(usize, usize, usize, Option<f32>); 5] = [
    (32, 100, 100, None),
    (208, 300, 100, Some(1.3)),
    (208, 300, 300, Some(11.6)),
    (208, 300, 600, Some(4.4)),
    (4096, 16, 16, None),
];

const PLAIN: Traits = Traits {
    forbids: false,
    masks: false,
    limit: false,
    maximize: false,
    spoils: false,
};

/// The cases that the options leave, in their order. `quick`: only the quick checks.
///
/// # Errors
///
/// A sentence, if there are none, or none of the name after which to begin.
pub fn select(options: &Options, quick: bool) -> Result<Vec<Case>, String> {
    let checks = checks().filter(|check| check.is_quick || !quick);
    let timed = TIMED
        .iter()
        .map(|&(problems, rows, cols, published)| Timed {
            shape: Shape {
                problems,
                rows,
                cols,
            },
            published,
        });
    let (checks, timed) = (checks.map(Case::Check), timed.map(Case::Time));
    let mut cases: Vec<Case> = match options.time_first {
        true => timed.chain(checks).collect(),
        false => checks.chain(timed).collect(),
    };
    if let Some(name) = &options.after {
        let last = cases.iter().position(|case| case.to_string() == *name);
        let last = last.ok_or_else(|| format!("--after: no case is called '{name}'"))?;
        cases.drain(..=last);
    }
    if let Some(text) = &options.case {
        cases.retain(|case| case.to_string().contains(text));
    }
    match cases.is_empty() {
        true => Err("the options leave no case".to_owned()),
        false => Ok(cases),
    }
}

/// All checks, of which each is drawn from its number: it is the same whichever others are left
/// out.
fn checks() -> impl Iterator<Item = Check> {
    let mut drawn = Vec::new();
    for (rows, cols, family, letters) in QUICK {
        let traits = Traits {
            forbids: letters.contains('f'),
            masks: letters.contains('m'),
            limit: letters.contains('l'),
            maximize: letters.contains('x'),
            spoils: letters.contains('n'),
        };
        drawn.push((family, (1, rows, cols), traits));
    }
    for sizes in EMPTY {
        drawn.push((Family::Uniform, sizes, PLAIN));
    }
    let mut random = Random::new(11);
    for (rows, cols) in LARGE {
        for family in [Family::Uniform, Family::Line, Family::Whole] {
            let traits = Traits {
                forbids: random.one_in(4),
                masks: random.one_in(2),
                limit: random.one_in(3),
                maximize: random.one_in(3),
                spoils: false,
            };
            drawn.push((family, (3, rows, cols), traits));
        }
    }
    for (rows, cols) in SMALL {
        for family in FAMILIES {
            for variant in 0..8 {
                let traits = Traits {
                    forbids: random.one_in(3),
                    masks: variant % 2 == 1,
                    limit: variant % 4 >= 2,
                    maximize: random.one_in(3),
                    spoils: random.one_in(6),
                };
                drawn.push((
                    family,
                    (1 + random.index(MOST_PROBLEMS), rows, cols),
                    traits,
                ));
            }
        }
    }
    // Each check in all types before the next check: so a run that is cut short has seen all types.
    let of_all_types = drawn
        .into_iter()
        .enumerate()
        .flat_map(|(place, check)| TYPES.map(|costs| (place < QUICK.len(), costs, check)));
    of_all_types
        .enumerate()
        .map(|(number, (is_quick, costs, (family, sizes, traits)))| {
            let (problems, rows, cols) = sizes;
            Check {
                number,
                costs,
                family,
                shape: Shape {
                    problems,
                    rows,
                    cols,
                },
                traits,
                is_quick,
            }
        })
}

impl Check {
    /// What the batch is drawn from.
    pub fn random(&self) -> Random {
        Random::new(self.number as u64)
    }
}

/// Lower case, as Rust calls it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::F16 => "f16",
            Type::Bf16 => "bf16",
        })
    }
}

/// The case's name, which no other has.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Case::Check(Check {
                number,
                costs,
                family,
                shape,
                traits,
                ..
            }) => {
                write!(f, "check {number}: {costs} {} {family:?}", Sizes(*shape))?;
                for (is_so, word) in [
                    (traits.forbids, "forbidden pairs"),
                    (traits.masks, "masks"),
                    (traits.limit, "limit"),
                    (traits.maximize, "maximize"),
                    (traits.spoils, "invalid entries"),
                ] {
                    if is_so {
                        write!(f, ", {word}")?;
                    }
                }
                Ok(())
            }
            Case::Time(Timed { shape, .. }) => write!(f, "time f32 {}", Sizes(*shape)),
        }
    }
}

/// "208 x 300 x 300".
pub struct Sizes(pub Shape);

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape {
            problems,
            rows,
            cols,
        } = self.0;
        write!(f, "{problems} x {rows} x {cols}")
    }
}
