//! Step 3 of [`crate::solve::augment`]: augmentation along shortest paths.

use crate::number::arithmetic::Arithmetic;
use crate::problem::instance::Instance;
use crate::simd::arrays::Arrays;
use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::solve::augment::{Infeasible, Phase, Reached, Search, Solver, UNMATCHED};
use crate::sweep::nearest::Nearest;
use crate::sweep::per_column::{BLOCK, quads};

/// Where a shortest path ends.
enum Sink {
    /// At an unmatched column.
    Column(usize),
    /// At a row that is better left unmatched: its index among the rows reached.
    Row(usize),
}

impl<R: Arithmetic> Solver<R> {
    /// Augmentation goes on with the pending row at `pending_index`; after the last one the
    /// instance is solved.
    #[inline(always)]
    pub(super) fn search_next<E: Entry>(&mut self, instance: &Instance<E>, pending_index: usize) {
        let Some(&row) = self.pending.get(pending_index) else {
            self.phase = Phase::Done;
            return;
        };
        if pending_index == 0 && self.bounds.are_kept() {
            let paths = &mut self.search.paths;
            paths.begin_near(instance.cols(), &self.unmatched_cols);
        }
        if self.search_steps > self.steps_before_equal_rows {
            self.begin_search_among_equal_rows(instance);
        }
        let search = &mut self.search;
        search.reached.clear();
        search.paths.forget_offers();
        search.reached.push(Reached {
            row,
            col: 0,
            length: R::ZERO,
            offset: R::ZERO,
        });
        search.exit = self.row_ceiling;
        search.exit_index = 0;
        self.phase = Phase::Augmentation { pending_index };
    }

    /// A step of Dijkstra's algorithm over reduced costs c − v − u, with u taken as 0 for the row
    /// where the search starts: goes on to the nearest column, whose shortest path is now known.
    /// Where that ends the search, the path is flipped.
    #[inline(always)]
    pub(super) fn extend_path<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
        pending_index: usize,
    ) -> Result<(), Infeasible> {
        let first = &mut self.found.first;
        let paths = &self.search.paths;
        paths.prefer_unmatched(lanes, first, &self.quad_least, &self.unmatched_cols);
        let Nearest {
            value: length,
            col,
            is_unmatched,
            ..
        } = *first;
        let Search {
            paths,
            reached,
            exit,
            exit_index,
            ..
        } = &mut self.search;
        if *exit < length {
            let (reached_index, length) = (*exit_index, *exit);
            self.augment_path(instance, Sink::Row(reached_index), length);
            self.search_next(instance, pending_index + 1);
            return Ok(());
        }
        if length == R::INFINITY {
            return Err(Infeasible);
        }
        if is_unmatched {
            self.augment_path(instance, Sink::Column(col), length);
            self.search_next(instance, pending_index + 1);
            return Ok(());
        }
        // Not where rows are equal: most of them are not swept, and cost less than a copy.
        if !self.bounds.are_kept() && !self.equal_rows.are_there() {
            paths.remember_offers(reached.len());
        }
        paths.settle(lanes, col);
        let row = self.row_of_col[col] as usize;
        let offset = self.row_duals[row] - length;
        if self.row_ceiling - offset < *exit {
            *exit = self.row_ceiling - offset;
            *exit_index = reached.len();
        }
        reached.push(Reached {
            row,
            col,
            length,
            offset,
        });
        Ok(())
    }

    /// Flips the shortest path and updates the duals.
    #[inline(never)]
    fn augment_path<E: Entry>(&mut self, instance: &Instance<E>, sink: Sink, length: R) {
        // Flips the path, from its end back to its start. The row that takes a column was reached
        // before `reached_index`: that of the row that loses the column, or the end of the list if
        // none does.
        let Search { reached, paths, .. } = &mut self.search;
        let (mut end, mut reached_index) = match sink {
            Sink::Column(col) => {
                self.unmatched_cols[col / BLOCK] &= !(1 << (col % BLOCK));
                if self.bounds.are_kept() {
                    paths.take_column(col);
                }
                (Some((col, length)), reached.len())
            }
            Sink::Row(reached_index) => {
                self.col_of_row[reached[reached_index].row] = UNMATCHED;
                (reached[reached_index].way_in(reached_index), reached_index)
            }
        };
        while let Some((col, distance)) = end {
            reached_index = self.predecessor(instance, reached_index, col, distance);
            let reached = self.search.reached[reached_index];
            self.col_of_row[reached.row] = col as i32;
            self.row_of_col[col] = reached.row as i32;
            self.others_least[reached.row] = R::NEG_INFINITY;
            end = reached.way_in(reached_index);
        }

        // Restores (1): v of a column settled at distance d falls by length − d.
        for settled in &self.search.reached[1..] {
            let distance = settled.length;
            if distance < length {
                let dual = self.col_duals.get(settled.col) + (distance - length);
                self.col_duals.set(settled.col, dual);
            }
        }
        for reached_index in 0..self.search.reached.len() {
            self.refresh_row_dual(instance, self.search.reached[reached_index].row);
        }
    }

    /// The index of the reached row, among the first `count`, from which the shortest path reaches
    /// `col`: the first that offered the column its distance. Where whole rows are swept, it is
    /// found by computing offers again: see [`crate::sweep::snapshots`].
    #[inline(always)]
    fn predecessor<E: Entry>(
        &self,
        instance: &Instance<E>,
        count: usize,
        col: usize,
        distance: R,
    ) -> usize {
        let Search { reached, paths, .. } = &self.search;
        if self.bounds.are_kept() {
            return paths.offered_by(col);
        }
        let col_dual = self.col_duals.get(col);
        let offers = |reached: &Reached<R>| {
            let reduced = R::round_from(instance.cost(reached.row, col)) - col_dual;
            reduced - reached.offset == distance
        };
        let range = paths.rows_that_may_have_offered(count, col, distance);
        let first = reached[range.clone()].iter().position(offers);
        range.start + first.expect("a column's distance was offered by a row reached before it")
    }

    /// Called when searches have been long: looks for equal rows, if that has not been done, and
    /// prepares for a search that makes use of them.
    #[cold]
    #[inline(never)]
    fn begin_search_among_equal_rows<E: Entry>(&mut self, instance: &Instance<E>) {
        if !self.equal_rows.are_known() {
            self.equal_rows.find(instance);
        }
        self.equal_rows.begin_search();
        self.search.are_tied_listed = false;
    }

    /// Goes on without sweeps while the row that the search has reached last is equal to one that
    /// it has swept. Not inlined, so that it costs nothing where no rows are equal.
    #[cold]
    #[inline(never)]
    pub(super) fn pass_over_equal_rows<E: Entry, const W: usize>(
        &mut self,
        instance: &Instance<E>,
    ) -> Result<(), Infeasible> {
        let lanes = Arrays::<R>::default();
        while let Phase::Augmentation { pending_index } = self.phase {
            let last = self.search.reached[self.search.reached.len() - 1];
            if !self.equal_rows.has_swept_equal(last.row, last.offset) {
                self.search.are_tied_listed = false;
                break;
            }
            self.search_steps += 1;
            self.find_nearest_again::<W>(instance.cols(), last);
            self.extend_path::<_, E, W>(lanes, instance, pending_index)?;
        }
        Ok(())
    }

    /// Finds the nearest column when the row reached last offers nothing new.
    fn find_nearest_again<const W: usize>(&mut self, cols: usize, last: Reached<R>) {
        let length = last.length;
        let lanes = Arrays::<R>::default();
        let Search {
            paths,
            tied,
            are_tied_listed,
            ..
        } = &mut self.search;
        let are_bounds_kept = self.bounds.are_kept();
        if are_bounds_kept {
            paths.look_again_near::<_, W>(lanes, last.col, &mut self.quad_least);
        }
        if !*are_tied_listed {
            // None of them is unmatched: of columns equally near, an unmatched one is taken first.
            paths.list_columns_at::<_, W>(lanes, cols, length, tied);
            *are_tied_listed = true;
        }
        self.found.first = match tied.pop() {
            Some(col) => Nearest::matched(length, col as usize),
            None => {
                *are_tied_listed = false;
                let unmatched = self.unmatched_cols.as_slice();
                if are_bounds_kept {
                    let quads = quads::<W>(cols);
                    paths.nearest_of_quads::<_, W>(lanes, quads, &self.quad_least, unmatched)
                } else {
                    paths.look_again::<_, W>(lanes, cols, &mut self.quad_least, unmatched)
                }
            }
        };
    }
}

impl<R: Copy> Reached<R> {
    /// The column by way of which the row was reached, and its distance; `None` for the start.
    #[inline(always)]
    fn way_in(&self, reached_index: usize) -> Option<(usize, R)> {
        (reached_index > 0).then_some((self.col, self.length))
    }
}
