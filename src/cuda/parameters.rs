//! What every kernel is given: one structure, by value. The device's half is `Parameters` in `cuda/parameters.h`; a test
//! holds the two to the same layout.

/// An address in the device's memory.
pub type DeviceAddress = u64;

/// A batch in device memory: the op's inputs and outputs. Nothing of it is read or written on the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DeviceBatch {
    /// T `[problems, rows, cols]`.
    pub cost: DeviceAddress,
    /// bool `[problems, rows]`, or one flag for all; any byte but 0 is true.
    pub row_mask: DeviceAddress,
    /// bool `[problems, cols]`, or one flag for all.
    pub col_mask: DeviceAddress,
    /// U `[problems]`, or one limit for all. They stay on the device, so that nobody waits for them.
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

/// What a kernel is given: the batch, and where to work. The plan fills in the latter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Parameters {
    /// Inputs and outputs.
    pub batch: DeviceBatch,
    /// The workspace, aligned to 256 bytes.
    pub workspace: DeviceAddress,
    /// Bytes of it for each block.
    pub workspace_per_block: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// The same numbers are asserted in `cuda/parameters.h`.
    #[test]
    fn kernels_see_the_same_layout() {
        assert_eq!(size_of::<DeviceBatch>(), 120);
        assert_eq!(size_of::<Parameters>(), 136);
        assert_eq!(offset_of!(DeviceBatch, problems), 80);
        assert_eq!(offset_of!(DeviceBatch, maximize), 116);
        assert_eq!(offset_of!(Parameters, workspace), 120);
    }
}
