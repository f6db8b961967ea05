//! Passes over the reduced costs c_j − v_j of a row: the least, the two least, those below a bound.

use crate::number::arithmetic::Arithmetic;
use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::sweep::nearest::{Holders, Nearest, nearest, nearest_of};
use crate::sweep::per_column::{PerColumn, PerQuad, QUAD, quads};
use crate::sweep::quad::{below, equal, least_of_quad, load, subtract};
use crate::sweep::row::{Row, for_each_quad, load_costs, load_vectors};

/// Least and second least of the reduced costs of a row.
#[derive(Clone, Copy, Debug)]
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
        let infinite = lanes.splat(L::Number::INFINITY);
        let mut two = LeastTwo {
            first: infinite,
            second: infinite,
        };
        let values = reduced_costs::<L, E, W, N>(lanes, row, col_duals);
        two.take_all(lanes, &values);
        let (least, second) = two.of_all(lanes);
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

/// Least and second least c_j − v_j; and the least of each quad.
#[inline(always)]
pub fn two_least_by_quads<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
    quad_least: &mut PerQuad<L::Number>,
) -> (L::Number, L::Number) {
    let infinite = lanes.splat(L::Number::INFINITY);
    let mut two = LeastTwo {
        first: infinite,
        second: infinite,
    };
    let quads = quads::<W>(row.cols);
    let duals = col_duals.quads(quads);
    let mut least_of = quad_least.vectors.quads_mut::<W>(quads);
    for_each_quad!(lanes, row, |quad, costs| {
        let reduced = subtract(lanes, costs, load(lanes, duals.at(quad)));
        let least = two.take(lanes, reduced);
        lanes.store(least, &mut least_of.at(quad)[0]);
    });
    two.of_all(lanes)
}

/// Least and second least c_j − v_j.
#[inline(always)]
pub fn two_least<L: Lanes<W>, E: Entry, const W: usize, const N: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
) -> (L::Number, L::Number) {
    let infinite = lanes.splat(L::Number::INFINITY);
    let mut two = LeastTwo {
        first: infinite,
        second: infinite,
    };
    if N > 0 {
        two.take_all(lanes, &reduced_costs::<L, E, W, N>(lanes, row, col_duals));
    } else {
        let quads = quads::<W>(row.cols);
        let duals = col_duals.quads(quads);
        for_each_quad!(lanes, row, |quad, costs| {
            two.take(lanes, subtract(lanes, costs, load(lanes, duals.at(quad))));
        });
    }
    two.of_all(lanes)
}

/// c_j − v_j in `N` vectors.
#[inline(always)]
fn reduced_costs<L: Lanes<W>, E: Entry, const W: usize, const N: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
) -> [L::Vector; N] {
    let mut values = load_vectors::<L, E, W, N>(lanes, row);
    let duals = col_duals.quads(N.div_ceil(QUAD));
    for (place, value) in values.iter_mut().enumerate() {
        *value = lanes.subtract(*value, lanes.load(duals.vector(place)));
    }
    values
}

/// Least and second least, lane by lane.
struct LeastTwo<V> {
    first: V,
    second: V,
}

impl<V: Copy> LeastTwo<V> {
    /// Takes in four more in each lane, and returns the least of those.
    #[inline(always)]
    fn take<L: Lanes<W, Vector = V>, const W: usize>(&mut self, lanes: L, four: [V; QUAD]) -> V {
        // The least of each half, then of all; beaten were one in each half, then one of the halves.
        let halves = [
            lanes.smaller(four[0], four[1]),
            lanes.smaller(four[2], four[3]),
        ];
        let beaten = lanes.smaller(
            lanes.larger(four[0], four[1]),
            lanes.larger(four[2], four[3]),
        );
        let least = lanes.smaller(halves[0], halves[1]);
        let beaten = lanes.smaller(beaten, lanes.larger(halves[0], halves[1]));
        let beaten = lanes.smaller(beaten, lanes.larger(least, self.first));
        self.second = lanes.smaller(beaten, self.second);
        self.first = lanes.smaller(least, self.first);
        least
    }

    /// Takes in one more in each lane.
    #[inline(always)]
    fn take_one<L: Lanes<W, Vector = V>, const W: usize>(&mut self, lanes: L, one: V) {
        self.second = lanes.smaller(self.second, lanes.larger(self.first, one));
        self.first = lanes.smaller(self.first, one);
    }

    /// Takes in `N` more in each lane.
    #[inline(always)]
    fn take_all<L: Lanes<W, Vector = V>, const W: usize, const N: usize>(
        &mut self,
        lanes: L,
        values: &[V; N],
    ) {
        let (quads, rest) = values.as_chunks::<QUAD>();
        for &quad in quads {
            self.take(lanes, quad);
        }
        for &one in rest {
            self.take_one(lanes, one);
        }
    }

    /// The least and the second least of all lanes.
    #[inline(always)]
    fn of_all<L: Lanes<W, Vector = V>, const W: usize>(&self, lanes: L) -> (L::Number, L::Number) {
        let least = lanes.least(self.first);
        // The second least is behind the first in its lane, or first in another.
        let holders = lanes.equal(self.first, lanes.splat(least));
        let lane = holders.trailing_zeros() as usize % W;
        let without_it = lanes.one_lane(L::Number::NEG_INFINITY, lane, L::Number::INFINITY);
        let others = lanes.larger(self.first, without_it);
        (least, lanes.least(lanes.smaller(others, self.second)))
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

/// Finds the columns other than `own` with c_j − v_j < `bound`. For each quad that has some, `found` gets its number and one bit
/// for each such column. Returns the number of those quads. `found` must have room for all quads of the row and one more.
#[inline(always)]
pub fn columns_below<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
    own: usize,
    bound: L::Number,
    found: &mut [(u32, u64)],
) -> usize {
    let bound = lanes.splat(bound);
    let mut count = 0;
    let quads = quads::<W>(row.cols);
    let duals = col_duals.quads(quads);
    for_each_quad!(lanes, row, |quad, costs| {
        let reduced = subtract(lanes, costs, load(lanes, duals.at(quad)));
        let own_bit = u64::from(own / (QUAD * W) == quad) << (own % (QUAD * W));
        let bits = below(lanes, reduced, bound) & !own_bit;
        found[count] = (quad as u32, bits);
        count += usize::from(bits != 0);
    });
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
        equal(lanes, subtract(lanes, costs, duals), value)
    }
}

/// Of columns equally near in reduced cost, makes sure of an unmatched one, if there is any.
#[inline(always)]
pub fn prefer_unmatched<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    nearest: &mut Nearest<L::Number>,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
    quad_least: &PerQuad<L::Number>,
    unmatched: &[u64],
) {
    if nearest.others != 0 {
        let holders = InReducedCosts { row, col_duals };
        nearest.look_further(lanes, quad_least, unmatched, &holders);
    }
}
