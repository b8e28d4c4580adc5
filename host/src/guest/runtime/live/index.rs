//! Indices of the binary format, which are 32 bits.

use super::ineligible::Ineligible;

/// The item with this index.
pub(super) fn at<T>(items: &[T], index: u32) -> Result<&T, Ineligible> {
    usize::try_from(index).ok().and_then(|index| items.get(index)).ok_or(Ineligible::Composed)
}

/// The index of what comes after so many.
pub(super) fn after(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
