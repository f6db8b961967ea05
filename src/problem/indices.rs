//! Which rows and columns exist.

use std::collections::TryReserveError;

use crate::problem::given::Mask;

/// Bits of a word of [`Indices::words`].
pub const WORD: usize = u64::BITS as usize;

/// The user's indices of an instance's rows or columns, ascending.
#[derive(Debug, Default)]
pub struct Indices {
    list: Vec<i32>,
    /// One bit for each index, where a mask has one flag for each.
    words: Vec<u64>,
    /// There are no gaps between the indices of the list.
    contiguous: bool,
}

impl Indices {
    /// Makes room for `length` indices.
    pub fn try_reserve(&mut self, length: usize) -> Result<(), TryReserveError> {
        self.list.clear();
        self.contiguous = false;
        self.words.clear();
        self.words.try_reserve_exact(length.div_ceil(WORD))?;
        self.list.try_reserve_exact(length)
    }

    /// Lists those of the first `length` indices that exist. Indices fit int32, which the batch
    /// checks.
    #[inline(always)]
    pub fn fill(&mut self, length: usize, mask: Mask) {
        if let Mask::Uniform(true) = mask
            && self.contiguous
            && self.list.len() == length
            && self.list.first().is_none_or(|&first| first == 0)
        {
            return; // As the last problem left it.
        }
        self.list.clear();
        self.words.clear();
        match mask {
            Mask::Uniform(false) => {}
            Mask::Uniform(true) => self.list.extend(0..length as i32),
            Mask::Each(flags) => self.fill_from(flags),
        }
        self.contiguous = match (self.list.first(), self.list.last()) {
            (Some(&first), Some(&last)) => (last - first) as usize + 1 == self.list.len(),
            _ => true,
        };
    }

    /// Lists those whose flag is set, without a branch on each.
    #[inline(always)]
    fn fill_from(&mut self, flags: &[bool]) {
        for (chunk, first) in flags.chunks(WORD).zip((0..).step_by(WORD)) {
            let mut word = 0;
            for (bit, &flag) in chunk.iter().enumerate() {
                word |= u64::from(flag) << bit;
            }
            self.words.push(word);
            while word != 0 {
                self.list.push(first + word.trailing_zeros() as i32);
                word &= word - 1;
            }
        }
    }

    /// One bit for each index, set where it exists. Only for a mask with one flag for each.
    pub fn words(&self) -> &[u64] {
        debug_assert!(self.list.is_empty() || !self.words.is_empty());
        &self.words
    }

    /// How many exist.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// All indices.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.list.iter().map(|&index| index as usize)
    }

    /// The user's index of the instance's row (or column) `index`.
    #[inline(always)]
    pub fn get(&self, index: usize) -> usize {
        self.list[index] as usize
    }

    /// The first index, if there are no gaps.
    pub fn start(&self) -> Option<usize> {
        self.contiguous
            .then(|| self.list.first().map_or(0, |&first| first as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_mask_left_is_not_taken_over() {
        let mut indices = Indices::default();
        indices.try_reserve(5).unwrap();
        let mut fill = |length, mask| {
            indices.fill(length, mask);
            indices.iter().collect::<Vec<_>>()
        };
        let all_but_the_first = [false, true, true, true, true];
        assert_eq!(fill(5, Mask::Each(&all_but_the_first)), [1, 2, 3, 4]);
        assert_eq!(fill(4, Mask::Uniform(true)), [0, 1, 2, 3]);
        assert_eq!(fill(4, Mask::Uniform(false)), [0; 0]);
        assert_eq!(fill(3, Mask::Uniform(true)), [0, 1, 2]);
        assert_eq!(fill(3, Mask::Each(&[true, false, true])), [0, 2]);
        assert_eq!(fill(2, Mask::Uniform(true)), [0, 1]);
    }
}
