//! Operations on a quad: four vectors.

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

#[inline(always)]
pub fn subtract<L: Lanes<W>, const W: usize>(
    lanes: L,
    a: [L::Vector; QUAD],
    b: [L::Vector; QUAD],
) -> [L::Vector; QUAD] {
    [
        lanes.subtract(a[0], b[0]),
        lanes.subtract(a[1], b[1]),
        lanes.subtract(a[2], b[2]),
        lanes.subtract(a[3], b[3]),
    ]
}

#[inline(always)]
pub fn smaller<L: Lanes<W>, const W: usize>(
    lanes: L,
    a: [L::Vector; QUAD],
    b: [L::Vector; QUAD],
) -> [L::Vector; QUAD] {
    [
        lanes.smaller(a[0], b[0]),
        lanes.smaller(a[1], b[1]),
        lanes.smaller(a[2], b[2]),
        lanes.smaller(a[3], b[3]),
    ]
}

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

/// Bit i is set where number i of a quad equals `value`.
#[inline(always)]
pub fn equal<L: Lanes<W>, const W: usize>(
    lanes: L,
    quad: [L::Vector; QUAD],
    value: L::Vector,
) -> u64 {
    lanes.equal(quad[0], value)
        | lanes.equal(quad[1], value) << W
        | lanes.equal(quad[2], value) << (2 * W)
        | lanes.equal(quad[3], value) << (3 * W)
}

/// Bit i is set where number i of quad a is less than that of `b`.
#[inline(always)]
pub fn below<L: Lanes<W>, const W: usize>(lanes: L, a: [L::Vector; QUAD], b: L::Vector) -> u64 {
    lanes.below(a[0], b)
        | lanes.below(a[1], b) << W
        | lanes.below(a[2], b) << (2 * W)
        | lanes.below(a[3], b) << (3 * W)
}
