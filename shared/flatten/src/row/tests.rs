//! Tests of the arena.

use super::{MAX_POOLED, MAX_POOLED_BYTES, Names, Rows, RowsPool};

#[test]
fn names_count_at_every_cell_of_the_last_row() {
    let (mut names, mut rows) = (Names::default(), Rows::default());
    let (table, column) = (names.table("T"), names.column(&"n".repeat(1_000)));
    for cells in [1_000, 10] {
        let row = rows.begin_row(table, "T/1");
        (0..cells).for_each(|number| rows.integer(column, number));
        rows.end_row(row);
        let named = usize::try_from(cells).unwrap() * 1_000;
        assert!(
            rows.last_row_exceeds(named, &names) && !rows.last_row_exceeds(named + named / 10, &names),
            "{cells}"
        );
    }
}

fn fill(rows: &mut Rows, text: &str) {
    let mut names = Names::default();
    let (table, column) = (names.table("T"), names.column("c"));
    let row = rows.begin_row(table, "T/1");
    rows.text(column, text);
    rows.end_row(row);
}

#[test]
fn memory_is_used_again_and_holds_nothing() {
    let pool = RowsPool::default();
    let mut rows = pool.rows();
    fill(&mut rows, &"x".repeat(10_000));
    drop(rows);
    let rows = pool.rows();
    assert!(rows.is_empty() && rows.bytes() == 0 && rows.pending_cells() == 0);
    assert!(rows.text.capacity() >= 10_000);
    assert_eq!(pool.rows().text.capacity(), 0, "it is there once");
}

#[test]
fn a_few_are_kept_and_none_that_is_too_large() {
    let pool = RowsPool::default();
    let many: Vec<Rows> = (0..2 * MAX_POOLED).map(|_| pool.rows()).collect();
    drop(many);
    assert_eq!(pool.0.lock().unwrap().len(), MAX_POOLED);
    pool.0.lock().unwrap().clear();
    let mut rows = pool.rows();
    fill(&mut rows, &"x".repeat(MAX_POOLED_BYTES));
    drop(rows);
    assert!(pool.0.lock().unwrap().is_empty());
}
