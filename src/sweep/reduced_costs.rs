//! Passes over the reduced costs c_j − v_j of a row: the least, the two least, those below a bound.

use std::hint::select_unpredictable;

use crate::number::arithmetic::Arithmetic;
use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::sweep::nearest::{Holders, Nearest, bits_of_quad, nearest, nearest_of};
use crate::sweep::per_column::{PerColumn, PerQuad, QUAD, quads};
use crate::sweep::quad::{least_of_quad, load, quad_of, subtract};
use crate::sweep::row::{Row, costs_of_vectors, for_each_quad, load_costs};

/// Least and second least of the reduced costs of a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct TwoNearest<R> {
    /// The column of the least.
    pub first: Nearest<R>,
    /// The least of the others; the same number if two columns share it.
    pub second: R,
}

/// Least c_j − v_j and its column, and the second least.
#[inline(always)]
pub fn two_nearest_columns<L: Lanes<W>, E: Entry, const W: usize, const N: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
    quad_least: &mut PerQuad<L::Number>,
    unmatched: &[u64],
) -> TwoNearest<L::Number> {
    if N > 0 {
        let values = reduced_costs::<L, E, W, N>(lanes, row, col_duals);
        let two = LeastTwo::of_all(lanes, &values);
        let (least, second) = lanes.least_two(two.first, two.second);
        return TwoNearest {
            second,
            first: nearest_of(lanes, least, &values, unmatched),
        };
    }
    let (least, second) = two_least_by_quads(lanes, row, col_duals, quad_least);
    let quads = quads::<W>(row.cols);
    let holders = InReducedCosts { row, col_duals };
    TwoNearest {
        second,
        first: nearest(lanes, least, quads, quad_least, unmatched, &holders),
    }
}

/// As [`two_nearest_columns`], for rows full of ties, in which no reduced cost is below `floor`.
/// Finds the first unmatched column at `floor`, or else the first matched one, and goes no further
/// once it knows of a second column at `floor`. `None` if there are no two.
#[inline(always)]
pub fn two_tied_columns<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
    floor: L::Number,
    unmatched: &[u64],
) -> Option<TwoNearest<L::Number>> {
    let value = lanes.splat(floor);
    let width = QUAD * W;
    let quads = quads::<W>(row.cols);
    let holders = InReducedCosts { row, col_duals };
    let mut first = None;
    let mut are_two = false;
    for quad in 0..quads {
        let unmatched_here = bits_of_quad(unmatched, quad, width);
        if unmatched_here == 0 {
            continue;
        }
        let holding = holders.of_quad(lanes, quad, value);
        if holding & unmatched_here != 0 {
            are_two |= holding & (holding - 1) != 0;
            first = Some(Nearest::of_quad(floor, holding, unmatched, quad, width));
            break;
        }
        are_two |= holding != 0;
    }
    // Without an unmatched column at the floor, the next loop counts the matched ones from the
    // beginning.
    are_two &= first.is_some();
    for quad in 0..quads {
        if first.is_some() && are_two {
            break;
        }
        let own = first.map_or(0, |first| {
            u64::from(first.col / width == quad) << (first.col % width)
        });
        let holding = holders.of_quad(lanes, quad, value) & !own;
        if holding != 0 {
            are_two |= first.is_some() || holding & (holding - 1) != 0;
            first.get_or_insert(Nearest::of_quad(floor, holding, unmatched, quad, width));
        }
    }
    first.filter(|_| are_two).map(|first| TwoNearest {
        first,
        second: floor,
    })
}

/// Least and second least c_j − v_j; and the least of each quad.
#[inline(always)]
pub fn two_least_by_quads<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
    quad_least: &mut PerQuad<L::Number>,
) -> (L::Number, L::Number) {
    let mut two = LeastTwo::none(lanes);
    let quads = quads::<W>(row.cols);
    let duals = col_duals.quads(quads);
    let mut least_of = quad_least.vectors.quads_mut::<W>(quads);
    for_each_quad!(lanes, row, |quad, costs| {
        let reduced = subtract(lanes, costs, load(lanes, duals.at(quad)));
        let least = two.take(lanes, reduced);
        lanes.store(least, &mut least_of.at(quad)[0]);
    });
    lanes.least_two(two.first, two.second)
}

/// Least and second least c_j − v_j.
#[inline(always)]
pub fn two_least<L: Lanes<W>, E: Entry, const W: usize, const N: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
) -> (L::Number, L::Number) {
    let mut two = LeastTwo::none(lanes);
    if N > 0 {
        two = LeastTwo::of_all(lanes, &reduced_costs::<L, E, W, N>(lanes, row, col_duals));
    } else {
        let quads = quads::<W>(row.cols);
        let duals = col_duals.quads(quads);
        for_each_quad!(lanes, row, |quad, costs| {
            two.take(lanes, subtract(lanes, costs, load(lanes, duals.at(quad))));
        });
    }
    lanes.least_two(two.first, two.second)
}

/// c_j − v_j in `N` vectors.
#[inline(always)]
fn reduced_costs<L: Lanes<W>, E: Entry, const W: usize, const N: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
) -> [L::Vector; N] {
    let mut filled_up = None;
    let costs = costs_of_vectors::<E, W, N>(row, &mut filled_up);
    let duals = col_duals.quads(N.div_ceil(QUAD));
    let mut values = [lanes.splat(L::Number::INFINITY); N];
    for (place, value) in values.iter_mut().enumerate() {
        let costs = E::load(lanes, &costs[place]);
        *value = lanes.subtract(costs, lanes.load(duals.vector(place)));
    }
    values
}

/// Least and second least, lane by lane.
struct LeastTwo<V> {
    first: V,
    second: V,
}

impl<V: Copy> LeastTwo<V> {
    /// Of no numbers.
    #[inline(always)]
    fn none<L: Lanes<W, Vector = V>, const W: usize>(lanes: L) -> Self {
        let infinite = lanes.splat(L::Number::INFINITY);
        LeastTwo {
            first: infinite,
            second: infinite,
        }
    }

    /// Of four vectors.
    #[inline(always)]
    fn of<L: Lanes<W, Vector = V>, const W: usize>(lanes: L, four: [V; QUAD]) -> Self {
        // The second least of four was beaten in its half, or by the least of the other half.
        let halves = [
            lanes.smaller(four[0], four[1]),
            lanes.smaller(four[2], four[3]),
        ];
        let beaten = lanes.smaller(
            lanes.larger(four[0], four[1]),
            lanes.larger(four[2], four[3]),
        );
        LeastTwo {
            first: lanes.smaller(halves[0], halves[1]),
            second: lanes.smaller(beaten, lanes.larger(halves[0], halves[1])),
        }
    }

    /// Takes in four more in each lane, and returns the least of those.
    #[inline(always)]
    fn take<L: Lanes<W, Vector = V>, const W: usize>(&mut self, lanes: L, four: [V; QUAD]) -> V {
        let LeastTwo { first, second } = Self::of(lanes, four);
        let beaten = lanes.smaller(second, lanes.larger(first, self.first));
        self.second = lanes.smaller(beaten, self.second);
        self.first = lanes.smaller(first, self.first);
        first
    }

    /// Takes in one more in each lane.
    #[inline(always)]
    fn take_one<L: Lanes<W, Vector = V>, const W: usize>(&mut self, lanes: L, one: V) {
        self.second = lanes.smaller(self.second, lanes.larger(self.first, one));
        self.first = lanes.smaller(self.first, one);
    }

    /// Of `N` vectors, a quad at least.
    #[inline(always)]
    fn of_all<L: Lanes<W, Vector = V>, const W: usize, const N: usize>(
        lanes: L,
        values: &[V; N],
    ) -> Self {
        let (quads, rest) = values.as_chunks::<QUAD>();
        let mut two = Self::of(lanes, quads[0]);
        for &quad in &quads[1..] {
            two.take(lanes, quad);
        }
        for &one in rest {
            two.take_one(lanes, one);
        }
        two
    }
}

/// Least c_j − v_j.
#[inline(always)]
pub fn least_reduced_cost<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
) -> L::Number {
    let mut total = lanes.splat(L::Number::INFINITY);
    let quads = quads::<W>(row.cols);
    let duals = col_duals.quads(quads);
    for_each_quad!(lanes, row, |quad, costs| {
        let reduced = subtract(lanes, costs, load(lanes, duals.at(quad)));
        total = lanes.smaller(least_of_quad(lanes, reduced), total);
    });
    lanes.least(total)
}

/// Finds the columns other than `own` with c_j − v_j < `bound`. For each quad that has some,
/// `found` gets its number and one bit for each such column. Returns the number of those quads.
/// `found` must have room for all quads of the row and one more.
#[inline(always)]
pub fn columns_below<L: Lanes<W>, E: Entry, const W: usize, const N: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
    own: usize,
    bound: L::Number,
    found: &mut [(u32, u64)],
) -> usize {
    let bound = lanes.splat(bound);
    let mut count = 0;
    let (own_quad, own_bit) = (own / (QUAD * W), 1 << (own % (QUAD * W)));
    // Not a closure: see `for_each_quad`.
    macro_rules! take {
        ($quad:expr, $bits:expr) => {
            let bits = $bits & !select_unpredictable($quad == own_quad, own_bit, 0);
            found[count] = ($quad as u32, bits);
            count += usize::from(bits != 0);
        };
    }
    if N > 0 {
        let values = reduced_costs::<L, E, W, N>(lanes, row, col_duals);
        for quad in 0..N.div_ceil(QUAD) {
            take!(
                quad,
                lanes.below_of_four(quad_of(lanes, &values, quad), bound)
            );
        }
        return count;
    }
    let quads = quads::<W>(row.cols);
    let duals = col_duals.quads(quads);
    for_each_quad!(lanes, row, |quad, costs| {
        let reduced = subtract(lanes, costs, load(lanes, duals.at(quad)));
        take!(quad, lanes.below_of_four(reduced, bound));
    });
    count
}

/// As [`columns_below`], where lower bounds of the row's quads are kept: reads only quads in which
/// such a column may be.
#[inline(always)]
pub fn near_columns_below<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
    bounds: &[L::Number],
    own: usize,
    bound: L::Number,
    found: &mut [(u32, u64)],
) -> usize {
    let quads = quads::<W>(row.cols);
    let duals = col_duals.quads(quads);
    let bound = lanes.splat(bound);
    let mut count = 0;
    for (chunk, bounds) in bounds.as_chunks::<W>().0.iter().enumerate() {
        let mut near = lanes.below(lanes.load(bounds), bound);
        while near != 0 {
            let quad = chunk * W + near.trailing_zeros() as usize;
            near &= near - 1;
            if quad >= quads {
                break; // Padding.
            }
            let reduced = subtract(
                lanes,
                load_costs(lanes, row, quad),
                load(lanes, duals.at(quad)),
            );
            let mut bits = lanes.below_of_four(reduced, bound);
            if quad == own / (QUAD * W) {
                bits &= !(1 << (own % (QUAD * W)));
            }
            found[count] = (quad as u32, bits);
            count += usize::from(bits != 0);
        }
    }
    count
}

/// Finds a value among reduced costs.
struct InReducedCosts<'a, E, R> {
    row: Row<'a, E>,
    col_duals: &'a PerColumn<R>,
}

impl<L: Lanes<W>, E: Entry, const W: usize> Holders<L, W> for InReducedCosts<'_, E, L::Number> {
    #[inline(always)]
    fn of_quad(&self, lanes: L, quad: usize, value: L::Vector) -> u64 {
        let costs = load_costs(lanes, self.row, quad);
        let duals = load(lanes, self.col_duals.quads(quad + 1).at(quad));
        lanes.equal_of_four(subtract(lanes, costs, duals), value)
    }
}

/// Of columns equally near in reduced cost, chooses an unmatched one, if there is any: looks for it
/// in the other quads that hold the least, too.
#[inline(always)]
pub fn prefer_unmatched<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    nearest: &mut Nearest<L::Number>,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
    quad_least: &PerQuad<L::Number>,
    unmatched: &[u64],
) {
    let holders = InReducedCosts { row, col_duals };
    nearest.look_further(lanes, quad_least, unmatched, &holders);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::arrays::Arrays;
    use crate::simd::ops::{DOUBLES, SINGLES};
    use crate::sweep::per_column::BLOCK;
    use crate::sweep::row::ANY;
    use hungarian_random::Random;

    fn check<R: Arithmetic + Entry + std::fmt::Debug, const W: usize>(random: &mut Random)
    where
        Arrays<R>: Lanes<W, Number = R>,
    {
        let lanes = Arrays::<R>::default();
        let mut tied = 0;
        for _ in 0..3000 {
            let cols = 1 + random.index(300);
            let (levels, unmatched_part) = (1.0 + random.index(40) as f64, random.uniform());
            let costs: Vec<R> = (0..cols)
                .map(|_| R::round_from((random.uniform() * levels).floor()))
                .collect();
            let row = Row::of_matrix(&costs, cols, cols, 0);
            let mut col_duals = PerColumn::default();
            col_duals.reset_padded(cols, R::ZERO);
            let mut unmatched = vec![u64::MAX; cols.div_ceil(BLOCK)];
            for col in 0..cols {
                if random.uniform() > unmatched_part {
                    unmatched[col / BLOCK] &= !(1 << (col % BLOCK));
                    let dual = -(random.uniform() * 2.0).floor();
                    col_duals.set(col, R::round_from(dual));
                }
            }
            let mut quad_least = PerQuad::default();
            quad_least.resize(cols);
            let mut whole = two_nearest_columns::<_, _, W, ANY>(
                lanes,
                row,
                &col_duals,
                &mut quad_least,
                &unmatched,
            );
            let first = &mut whole.first;
            prefer_unmatched(lanes, first, row, &col_duals, &quad_least, &unmatched);
            let early = two_tied_columns(lanes, row, &col_duals, R::ZERO, &unmatched);
            let is_tied = whole.second == R::ZERO;
            assert_eq!(early.is_some(), is_tied);
            if let Some(early) = early {
                tied += 1;
                let of = |two: &TwoNearest<R>| {
                    let Nearest {
                        value,
                        col,
                        is_unmatched,
                        ..
                    } = two.first;
                    (value, col, is_unmatched, two.second)
                };
                assert_eq!(of(&early), of(&whole));
                assert_eq!(early.first.others, 0);
            }
        }
        assert!(tied > 300 && tied < 2900, "{tied}");
    }

    #[test]
    fn columns_below_a_bound_are_found_with_and_without_lower_bounds() {
        const WIDTH: usize = QUAD * SINGLES;
        let mut random = Random::new(3);
        let lanes = Arrays::<f32>::default();
        for _ in 0..2000 {
            let cols = 1 + random.index(2500);
            let costs: Vec<f32> = (0..cols).map(|_| random.uniform() as f32).collect();
            let row = Row::of_matrix(&costs, cols, cols, 0);
            let mut col_duals = PerColumn::<f32>::default();
            col_duals.reset_padded(cols, 0.0);
            for col in 0..cols {
                col_duals.set(col, -random.uniform() as f32);
            }
            let reduced = |col: usize| costs[col] - col_duals.get(col);
            let (own, bound) = (random.index(cols), (random.uniform() * 0.2) as f32);
            let mut wanted: Vec<(u32, u64)> = Vec::new();
            for col in (0..cols).filter(|&col| col != own && reduced(col) < bound) {
                let (quad, bit) = ((col / WIDTH) as u32, 1 << (col % WIDTH));
                match wanted.last_mut() {
                    Some((last, bits)) if *last == quad => *bits |= bit,
                    _ => wanted.push((quad, bit)),
                }
            }
            // Some bounds are the least itself, some are below it, and some say nothing: −inf.
            let quads = cols.div_ceil(WIDTH);
            let mut bounds = vec![f32::NEG_INFINITY; quads.next_multiple_of(SINGLES)];
            for (quad, bound) in bounds[..quads].iter_mut().enumerate() {
                let of_quad = (quad * WIDTH..cols.min((quad + 1) * WIDTH)).map(reduced);
                let below = [0.0, 0.05, f32::INFINITY][random.index(3)];
                *bound = of_quad.fold(f32::INFINITY, f32::min) - below;
            }
            let mut found = vec![(0, 0); quads + 1];
            let count =
                columns_below::<_, _, SINGLES, ANY>(lanes, row, &col_duals, own, bound, &mut found);
            assert_eq!(found[..count], wanted);
            let mut found = vec![(0, 0); quads + 1];
            let count = near_columns_below::<_, _, SINGLES>(
                lanes, row, &col_duals, &bounds, own, bound, &mut found,
            );
            assert_eq!(found[..count], wanted);
        }
    }

    #[test]
    fn among_ties_less_of_a_row_says_the_same() {
        let mut random = Random::new(2);
        check::<f32, SINGLES>(&mut random);
        check::<f64, DOUBLES>(&mut random);
    }
}
