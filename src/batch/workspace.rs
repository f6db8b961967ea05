//! What a thread keeps from one batch to the next.
//!
//! Small batches come by the thousand, and allocating the workspace takes as long as solving some
//! of them: a hundred allocations, and pages that the allocator gave back and has to ask for again.
//! So a thread that has solved a batch keeps its workspace, one for each type of costs and width,
//! until the thread ends. What one problem leaves in it does not affect the next, as within a
//! batch.

use std::cell::RefCell;
use std::collections::TryReserveError;

/// Problems of more entries are solved in a workspace of their own: to allocate it takes little
/// beside solving them, and it would be much to keep.
const MOST_ENTRIES: usize = 1 << 16;

/// So are problems of more rows or columns.
const LONGEST: usize = 1 << 12;

/// A workspace that threads keep.
pub trait Keep: Default + 'static {
    /// Calls `work` with the place where this thread keeps it; `None` if the thread is ending. The
    /// place is a list of one or none: room in a list can be asked for without a panic.
    fn at_place<T>(work: impl FnOnce(&RefCell<Vec<Self>>) -> T) -> Option<T>;
}

/// Has threads keep workspaces of these types.
macro_rules! keep {
    ($($workspace:ty),* $(,)?) => { $(
        impl Keep for $workspace {
            fn at_place<T>(work: impl FnOnce(&std::cell::RefCell<Vec<Self>>) -> T) -> Option<T> {
                thread_local! {
                    static PLACE: std::cell::RefCell<Vec<$workspace>> = const { std::cell::RefCell::new(Vec::new()) };
                }
                PLACE.try_with(work).ok()
            }
        }
    )* };
}

pub(crate) use keep;

/// Works in the workspace that this thread keeps, or in a new one, for problems of `rows × cols`.
/// The workspace is dropped if `work` fails.
///
/// # Errors
///
/// Those of `work`, and no memory for a new one.
pub fn in_workspace<W: Keep, T>(
    (rows, cols): (usize, usize),
    work: impl FnOnce(&mut W) -> Result<T, TryReserveError>,
) -> Result<T, TryReserveError> {
    let is_kept = rows.saturating_mul(cols) <= MOST_ENTRIES && rows.max(cols) <= LONGEST;
    let kept = is_kept.then(|| W::at_place(RefCell::take)).flatten();
    let mut workspace = kept.unwrap_or_default();
    if workspace.is_empty() {
        workspace.try_reserve_exact(1)?;
        workspace.resize_with(1, W::default);
    }
    let result = work(&mut workspace[0])?;
    if is_kept {
        W::at_place(|place| place.replace(workspace));
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Used(u32);
    keep!(Used);

    /// Works in the workspace that is kept, if one is kept for problems of this size, else in a new
    /// one. Returns how often it was used before.
    fn uses_before(shape: (usize, usize)) -> u32 {
        let used = |workspace: &mut Used| {
            workspace.0 += 1;
            Ok(workspace.0 - 1)
        };
        in_workspace(shape, used).expect("nothing is allocated")
    }

    #[test]
    fn small_workspaces_are_kept_and_large_ones_are_not() {
        for large in [
            (256, 257),
            (257, 256),
            (4097, 1),
            (1, 4097),
            (usize::MAX, 2),
        ] {
            assert_eq!(uses_before(large), 0);
            let kept = Used::at_place(|place| place.borrow().len());
            assert_eq!(kept, Some(0), "{large:?} is kept");
        }
        for (before, small) in [(1, 1), (256, 256), (4096, 16), (0, 4096)]
            .into_iter()
            .enumerate()
        {
            assert_eq!(uses_before(small), before as u32);
        }
        // A large one neither takes the place of the kept one nor makes use of it.
        assert_eq!(uses_before((5000, 5000)), 0);
        assert_eq!(uses_before((8, 8)), 4);
    }
}
