//! What every kernel is given: one structure, by value. The device's half is `cuda/parameters.h`; a
//! test holds the two to the same layout.
//!
//! An array of the kernels is a [`Place`] in [`Parameters`], here and there; the plan gives it one.

const HEADER: &[u8] = include_bytes!("../../cuda/parameters.h");

/// Threads of a warp.
pub const WARP: u64 = constant(b"kWarp");
/// Threads of a block that searches, at most.
pub const MOST_SEARCH_THREADS: u64 = constant(b"kMostSearchThreads");
/// Threads of a block that proves, at most.
pub const MOST_PROOF_THREADS: u64 = constant(b"kMostProofThreads");
/// Columns that a thread can hold in a search by a warp.
pub const COLUMNS_OF_WARP_THREAD: u64 = constant(b"kColumnsOfWarpThread");
/// Columns that a thread can hold in a search by a block.
pub const COLUMNS_OF_BLOCK_THREAD: u64 = constant(b"kColumnsOfBlockThread");
/// Columns that a thread can hold where a proof has to search.
pub const COLUMNS_OF_PROOF_THREAD: u64 = constant(b"kColumnsOfProofThread");
/// Bytes of the array in which the warps of a block exchange values.
pub const EXCHANGE_BYTES: u64 = constant(b"kExchangeBytes");
/// Bytes of a node.
pub const NODE_BYTES: u64 = constant(b"kNodeBytes");
/// Bytes of a match whose numbers are f32.
pub const SINGLE_MATCH_BYTES: u64 = constant(b"kSingleMatchBytes");
/// Bytes of a match whose numbers are f64.
pub const DOUBLE_MATCH_BYTES: u64 = constant(b"kDoubleMatchBytes");
/// Bytes of a match whose numbers are two f64 each.
pub const WIDE_MATCH_BYTES: u64 = constant(b"kWideMatchBytes");
/// Column duals behind those of the last column.
pub const COLUMNS_BEHIND: u64 = constant(b"kColumnsBehind");
/// Numbers behind the lists of open rows.
pub const OPEN_ROW_COUNTS: u64 = constant(b"kOpenRowCounts");
/// Bytes of a pair that a proof lists.
pub const NEAR_PAIR_BYTES: u64 = constant(b"kNearPairBytes");
/// Such pairs for each index of the longer side, at most.
pub const NEAR_PAIRS_PER_INDEX: u64 = constant(b"kNearPairsPerIndex");
/// Numbers of [`Parameters::lines`] behind that of the user's last row.
pub const LINES_BEHIND: u64 = constant(b"kLinesBehind");

/// The number in the line `constexpr int NAME = NUMBER;` of the header. The compiler reads it: a
/// constant that is not there is an error of compilation.
const fn constant(name: &[u8]) -> u64 {
    let mut text = HEADER;
    loop {
        if let Some(line) = strip(text, b"constexpr int ")
            && let Some(line) = strip(line, name)
            && let Some(line) = strip(line, b" = ")
        {
            return number(line);
        }
        text = match text {
            [_, rest @ ..] => rest,
            [] => panic!("cuda/parameters.h has no such constant"),
        };
    }
}

/// What follows `prefix`, if the text begins with that.
const fn strip<'a>(mut text: &'a [u8], mut prefix: &[u8]) -> Option<&'a [u8]> {
    while let [wanted, rest_of_prefix @ ..] = prefix {
        match text {
            [first, rest @ ..] if *first == *wanted => (text, prefix) = (rest, rest_of_prefix),
            _ => return None,
        }
    }
    Some(text)
}

/// The decimal number that ends with a semicolon.
const fn number(mut text: &[u8]) -> u64 {
    let mut number = 0;
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        number = 10 * number + (*digit - b'0') as u64;
        text = rest;
    }
    assert!(
        matches!(text, [b';', ..]),
        "the constant is more than a number"
    );
    number
}

/// An address in the device's memory.
pub type DeviceAddress = u64;

/// A batch in device memory: the op's inputs and outputs. Nothing of it is read or written on the
/// host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DeviceBatch {
    /// T `[problems, rows, cols]`.
    pub cost: DeviceAddress,
    /// bool `[problems, rows]`, or one flag for all; any byte but 0 is true.
    pub row_mask: DeviceAddress,
    /// bool `[problems, cols]`, or one flag for all.
    pub col_mask: DeviceAddress,
    /// U `[problems]`, or one limit for all. They stay on the device, so that nobody waits for
    /// them.
    pub cost_limit: DeviceAddress,
    /// U `[problems]`.
    pub total_cost: DeviceAddress,
    /// i32 `[problems, rows]`.
    pub row_to_col: DeviceAddress,
    /// i32 `[problems, cols]`.
    pub col_to_row: DeviceAddress,
    /// U `[problems, rows]`.
    pub row_duals: DeviceAddress,
    /// U `[problems, cols]`.
    pub col_duals: DeviceAddress,
    /// i32 `[problems]`.
    pub status: DeviceAddress,
    /// Number of problems.
    pub problems: i64,
    /// Rows of each.
    pub rows: i64,
    /// Columns of each.
    pub cols: i64,
    /// 1: `row_mask` is one flag for all.
    pub row_mask_is_uniform: i32,
    /// 1: `col_mask` is one flag for all.
    pub col_mask_is_uniform: i32,
    /// 1: `cost_limit` is one limit for all.
    pub cost_limit_is_uniform: i32,
    /// 1: as if costs and limits were negated.
    pub maximize: i32,
}

/// A memory that a block has a part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i64)]
pub enum Memory {
    /// The array is not needed.
    #[default]
    Nowhere = 0,
    /// The block's shared memory.
    Shared = 1,
    /// Its part of the workspace.
    Workspace = 2,
}

/// Where an array of a block lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Place {
    /// In which memory.
    pub memory: Memory,
    /// From where the block's part of that memory begins: bytes, a multiple of 16.
    pub offset: u64,
}

/// What the algorithm keeps for each index of the longer side, in numbers of some precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct StatePlaces {
    /// A node for each index.
    pub nodes: Place,
    /// A match for each.
    pub matches: Place,
    /// A number for each, and [`COLUMNS_BEHIND`] more.
    pub col_duals: Place,
}

/// What a kernel is given: the batch, and where to work. Each launch has its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Parameters {
    /// Inputs and outputs.
    pub batch: DeviceBatch,
    /// The workspace, aligned to 256 bytes.
    pub workspace: DeviceAddress,
    /// Bytes of it for each block, a multiple of 256.
    pub workspace_per_block: u64,
    /// Entries from a row of a copy of costs to the next, where its rows are the batch's rows.
    pub copy_stride: i64,
    /// The same where its rows are the batch's columns.
    pub transposed_copy_stride: i64,

    /// The array in which the warps of a block exchange values, in a search by a block and in a
    /// proof.
    pub exchange: Place,
    /// What the algorithm keeps: in f32 in a search, in f64 in a proof.
    pub state: StatePlaces,
    /// Lists of rows that are open: i32, two for each index, and [`OPEN_ROW_COUNTS`] more.
    pub open_rows: Place,
    /// A copy of one problem's costs, where one may have to be made: f32, or f64 in a proof where
    /// costs are that.
    pub copy: Place,
    /// Of a proof: f64 for each index of the longer side, as all that follow.
    pub duals: Place,
    /// Of a proof.
    pub next_duals: Place,
    /// Of a proof.
    pub listed_duals: Place,
    /// Of a proof.
    pub own_costs: Place,
    /// Of a proof: f32, and [`LINES_BEHIND`] more.
    pub lines: Place,
    /// Of a proof: i32, and one more.
    pub near_heads: Place,
    /// Of a proof: [`NEAR_PAIRS_PER_INDEX`] pairs.
    pub near_pairs: Place,
    /// Of a proof: in twice the precision of f64.
    pub wide_state: StatePlaces,
    /// Of a proof: in twice the precision of f64.
    pub wide_distances: Place,
    /// Of a proof: in twice the precision of f64.
    pub wide_duals: Place,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// The same numbers are asserted in `cuda/parameters.h` and `cuda/twin/twin.h`.
    #[test]
    fn kernels_see_the_same_layout() {
        assert_eq!(size_of::<DeviceBatch>(), 120);
        assert_eq!(size_of::<Place>(), 16);
        assert_eq!(size_of::<StatePlaces>(), 48);
        assert_eq!(size_of::<Parameters>(), 440);
        assert_eq!(offset_of!(DeviceBatch, problems), 80);
        assert_eq!(offset_of!(DeviceBatch, maximize), 116);
        assert_eq!(offset_of!(Place, offset), 8);
        assert_eq!(offset_of!(Parameters, workspace), 120);
        assert_eq!(offset_of!(Parameters, copy_stride), 136);
        assert_eq!(offset_of!(Parameters, exchange), 152);
    }
}
