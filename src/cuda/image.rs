//! The kernels as PTX: which image a device gets, and what of it a driver has to compile.

use std::collections::TryReserveError;

use crate::cuda::plan::{CostType, OLDEST_CAPABILITY, Task};

/// PTX, and the compute capability (10·major + minor) from which on devices run it; the best one
/// first.
pub const IMAGES: [(u32, &str); 2] = [
    (80, include_str!("../../cuda/assignment_80.ptx")),
    (70, include_str!("../../cuda/assignment_70.ptx")),
];

const _: () = assert!(IMAGES[IMAGES.len() - 1].0 == OLDEST_CAPABILITY);

/// What begins a kernel.
const ENTRY: &str = ".visible .entry ";
/// What ends it.
const END: &str = "\n}\n";

/// The PTX for devices of that compute capability, if there is any.
pub fn image_for(capability: u32) -> Option<&'static str> {
    let image = IMAGES.into_iter().find(|&(from, _)| capability >= from);
    image.map(|(_, ptx)| ptx)
}

/// Leaves out the kernels for other types of costs. Functions that only those call stay: the driver
/// makes nothing of them.
///
/// A driver takes seconds for each type's kernels, and most programs have one type.
///
/// # Errors
///
/// There is no memory for it.
pub fn with_kernels_of(ptx: &str, costs: CostType) -> Result<String, TryReserveError> {
    let mut parts = ptx.split(ENTRY);
    let mut kept = String::new();
    // And the zero that C wants.
    kept.try_reserve_exact(ptx.len() + 1)?;
    kept.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let is_wanted = Task::ALL
            .iter()
            .any(|task| kernel_of(part) == task.kernel(costs));
        let end = part.find(END).map_or(part.len(), |end| end + END.len());
        let (kernel, behind) = part.split_at(end);
        if is_wanted {
            kept.push_str(ENTRY);
            kept.push_str(kernel);
        }
        kept.push_str(behind);
    }
    kept.push('\0');
    Ok(kept)
}

/// The name of the kernel whose text, behind [`ENTRY`], is `text`.
fn kernel_of(text: &str) -> &str {
    text.split('(').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernels_in(ptx: &str) -> impl Iterator<Item = &str> {
        ptx.split(ENTRY).skip(1).map(kernel_of)
    }

    #[test]
    fn an_image_has_the_kernels_of_one_type_and_all_functions() {
        for (from, ptx) in IMAGES {
            for costs in CostType::ALL {
                let image = with_kernels_of(image_for(from).unwrap(), costs).unwrap();
                assert!(image.capacity() == ptx.len() + 1 && image.ends_with("}\n\0"));
                let kernels: Vec<_> = kernels_in(&image).collect();
                assert_eq!(kernels, Task::ALL.map(|task| task.kernel(costs)));
                let functions = |text: &str| text.matches("\n.func ").count();
                assert_eq!(functions(&image), functions(ptx));
                assert_eq!(image.matches('{').count(), image.matches('}').count());
            }
            assert_eq!(
                kernels_in(ptx).count(),
                Task::ALL.len() * CostType::ALL.len()
            );
        }
        assert_eq!(image_for(OLDEST_CAPABILITY - 1), None);
    }
}
