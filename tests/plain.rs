//! Squares of 8, 16 and 32 rows in f32, of which all rows and columns exist, are judged and written
//! many at once. Each gets the answer that it gets by any other way.

mod common;

use common::{F32_ROUNDOFF, Owned, solve_batch_at, solve_batch_with};
use hungarian_loss::batch::Tally;
use hungarian_loss::prove::certificate::check;
use hungarian_loss::simd::level::Level;
use hungarian_random::Random;

/// Numbers of problems around a full group, and around the number that is finished together.
const COUNTS: [usize; 8] = [1, 7, 8, 9, 63, 64, 65, 150];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Whole numbers, of which nothing is rounded.
    Whole,
    /// f64 has to round their sums; the answer is proven.
    Rounding,
    /// As [`Kind::chain`] has it: the answer cannot be proven in f64.
    Chain,
    /// A row has no allowed pair.
    Barred,
    /// The sum of the matched costs is beyond f32.
    Huge,
    /// A cost is NaN.
    Invalid,
}

impl Kind {
    fn draw(self, random: &mut Random, n: usize) -> Owned<f32> {
        let mut cost: Vec<f32> = (0..n * n)
            .map(|_| (random.uniform() * 100.0).floor() as f32)
            .collect();
        match self {
            Kind::Whole => {}
            Kind::Rounding => {
                for cost in &mut cost {
                    *cost = (random.uniform() * f64::from(*cost) + 1e-9) as f32;
                }
                // Two magnitudes, whose sum has more digits than f64.
                cost[0] = 1e-20;
            }
            Kind::Chain => cost = chain(n),
            Kind::Barred => cost[3 * n..4 * n].fill(f32::INFINITY),
            Kind::Huge => cost.fill(f32::MAX),
            Kind::Invalid => cost[n] = f32::NAN,
        }
        Owned::new(n, n, cost)
    }
}

/// Allowed are the diagonal and the pairs above it, which drive v down by 1 or 2 a column: duals
/// become so large that rounding them may matter, and costs of 1e-20 are rounded. Only the diagonal
/// matches all rows.
fn chain(n: usize) -> Vec<f32> {
    let cost = |index: usize| match (index / n, index % n) {
        (row, col) if row == col && row % 2 == 0 => 1.0,
        (row, col) if row == col => 1e-20,
        (row, col) if row + 1 == col => -1.0,
        _ => f32::INFINITY,
    };
    (0..n * n).map(cost).collect()
}

/// Solves a batch at all levels, with masks for all and for each; holds the answers to each other
/// and to their certificates.
fn hold(kinds: &[Kind], batch: &[Owned<f32>]) -> Tally {
    let n = batch[0].rows;
    let (answers, tally) = solve_batch_at(Level::baseline(), batch);
    for level in Level::all() {
        for for_each in [false, true] {
            let again = solve_batch_with(level, batch, for_each);
            assert_eq!(
                format!("{:?}", again.0),
                format!("{answers:?}"),
                "{level:?}"
            );
            assert_eq!(again.1.bad, tally.bad, "{level:?}");
            // Beside others of its kind a problem is exact, proven or redone at every level.
            if kinds.iter().all(|kind| *kind == kinds[0]) {
                assert_eq!(again.1, tally, "{level:?}, {kinds:?}");
            }
        }
    }
    for ((kind, problem), (answer, status)) in kinds.iter().zip(batch).zip(&answers) {
        let expected = match kind {
            Kind::Invalid => 2,
            Kind::Barred => 1,
            _ => 0,
        };
        assert_eq!(*status, expected, "{kind:?} of {n}");
        // For huge costs no certificate is promised.
        if *status == 0 && *kind != Kind::Huge {
            check(&problem.view(), answer, F32_ROUNDOFF)
                .unwrap_or_else(|wrong| panic!("{kind:?} of {n}: {wrong}"));
        }
        if *kind == Kind::Huge {
            assert_eq!(answer.total_cost, f64::INFINITY, "beyond f32");
        }
    }
    tally
}

#[test]
fn all_of_a_kind() {
    let mut random = Random::new(11);
    for n in [8, 16, 32] {
        for count in COUNTS {
            let mut tally_of = |kind: Kind| {
                let batch: Vec<_> = (0..count).map(|_| kind.draw(&mut random, n)).collect();
                hold(&vec![kind; count], &batch)
            };
            let count = count as u64;
            let all = |exact, proven, redone, bad| Tally {
                exact,
                proven,
                redone,
                bad,
            };
            assert_eq!(tally_of(Kind::Whole), all(count, 0, 0, 0));
            assert_eq!(tally_of(Kind::Rounding), all(0, count, 0, 0), "{n}");
            assert_eq!(tally_of(Kind::Chain), all(0, 0, count, 0), "{n}");
            assert_eq!(tally_of(Kind::Barred), all(0, 0, 0, count));
            assert_eq!(tally_of(Kind::Invalid), all(0, 0, 0, count));
            assert_eq!(tally_of(Kind::Huge).bad, 0);
        }
    }
}

#[test]
fn kinds_beside_each_other() {
    let mut random = Random::new(12);
    let valid = [
        Kind::Whole,
        Kind::Rounding,
        Kind::Chain,
        Kind::Barred,
        Kind::Huge,
    ];
    for n in [8, 16, 32] {
        for count in COUNTS {
            let mut kinds: Vec<Kind> = (0..count)
                .map(|_| valid[random.below(valid.len() as u64) as usize])
                .collect();
            for with_invalid in [false, true] {
                if with_invalid {
                    kinds[count / 2] = Kind::Invalid;
                }
                let batch: Vec<_> = kinds.iter().map(|kind| kind.draw(&mut random, n)).collect();
                let tally = hold(&kinds, &batch);
                let of = |kind: Kind| kinds.iter().filter(|&&one| one == kind).count() as u64;
                assert_eq!(tally.bad, of(Kind::Barred) + of(Kind::Invalid));
                assert_eq!(tally.redone, of(Kind::Chain));
                let answered = count as u64 - tally.bad - tally.redone;
                assert_eq!(tally.exact + tally.proven, answered);
            }
        }
    }
}

/// Problems whose f32 sums are exact, are rounded, and are rounded among ties, one beside the
/// other.
#[test]
fn alone_as_in_company() {
    let mut random = Random::new(13);
    for n in [8, 12, 16, 27, 32] {
        let batch: Vec<_> = (0..70)
            .map(|index| {
                let cost = |_| match index % 3 {
                    0 => random.below(10) as f32,
                    1 => random.uniform() as f32,
                    _ => random.below(5) as f32 * 0.1,
                };
                Owned::new(n, n, (0..n * n).map(cost).collect())
            })
            .collect();
        let (together, _) = solve_batch_at(Level::best(), &batch);
        for (problem, answer) in batch.iter().zip(&together) {
            let (alone, _) = solve_batch_at(Level::best(), std::slice::from_ref(problem));
            assert_eq!(format!("{:?}", alone[0]), format!("{answer:?}"), "{n}");
        }
    }
}
