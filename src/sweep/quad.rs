//! Operations on a quad: four vectors.

use crate::number::arithmetic::Arithmetic;
use crate::simd::ops::Lanes;
use crate::sweep::per_column::QUAD;

// Not closures over arrays, which would be compiled without the level's instructions.

#[inline(always)]
pub fn load<L: Lanes<W>, const W: usize>(
    lanes: L,
    numbers: &[[L::Number; W]; QUAD],
) -> [L::Vector; QUAD] {
    [
        lanes.load(&numbers[0]),
        lanes.load(&numbers[1]),
        lanes.load(&numbers[2]),
        lanes.load(&numbers[3]),
    ]
}
#[inline(always)]
pub fn store<L: Lanes<W>, const W: usize>(
    lanes: L,
    vectors: [L::Vector; QUAD],
    numbers: &mut [[L::Number; W]; QUAD],
) {
    lanes.store(vectors[0], &mut numbers[0]);
    lanes.store(vectors[1], &mut numbers[1]);
    lanes.store(vectors[2], &mut numbers[2]);
    lanes.store(vectors[3], &mut numbers[3]);
}

macro_rules! lane_by_lane {
    ($($operation:ident),*) => {$(
        #[inline(always)]
        pub fn $operation<L: Lanes<W>, const W: usize>(
            lanes: L,
            a: [L::Vector; QUAD],
            b: [L::Vector; QUAD],
        ) -> [L::Vector; QUAD] {
            [
                lanes.$operation(a[0], b[0]),
                lanes.$operation(a[1], b[1]),
                lanes.$operation(a[2], b[2]),
                lanes.$operation(a[3], b[3]),
            ]
        }
    )*};
}
lane_by_lane!(subtract, larger);

/// The least of four, lane by lane.
#[inline(always)]
pub fn least_of_quad<L: Lanes<W>, const W: usize>(lanes: L, quad: [L::Vector; QUAD]) -> L::Vector {
    lanes.smaller(
        lanes.smaller(quad[0], quad[1]),
        lanes.smaller(quad[2], quad[3]),
    )
}

/// The least of `N` vectors, lane by lane.
#[inline(always)]
pub fn least_of_all<L: Lanes<W>, const W: usize, const N: usize>(
    lanes: L,
    values: &[L::Vector; N],
) -> L::Vector {
    let (quads, rest) = values.as_chunks::<QUAD>();
    let mut total = least_of_quad(lanes, quads[0]);
    for &quad in &quads[1..] {
        total = lanes.smaller(total, least_of_quad(lanes, quad));
    }
    for &one in rest {
        total = lanes.smaller(total, one);
    }
    total
}

/// One of the quads that `N` vectors make, the last one filled up with +inf.
#[inline(always)]
pub fn quad_of<L: Lanes<W>, const W: usize, const N: usize>(
    lanes: L,
    values: &[L::Vector; N],
    quad: usize,
) -> [L::Vector; QUAD] {
    let mut four = [lanes.splat(L::Number::INFINITY); QUAD];
    for (to, &value) in four.iter_mut().zip(&values[quad * QUAD..]) {
        *to = value;
    }
    four
}
