//! Things that are many in rows that fit a record.

/// The most bytes of memory that one row's items take, as far as there is more than one: with room to spare
/// for how they are written, it fits a record of any topic.
pub const MAX_BATCH_BYTES: usize = 512 * 1024;

/// `items` in rows of at most [`MAX_BATCH_BYTES`], in their order. No items make no row.
pub(in crate::decode) fn rows<T>(items: Vec<T>, weight: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let (mut rows, mut held): (Vec<Vec<T>>, usize) = (Vec::new(), 0);
    for item in items {
        let more = weight(&item);
        match rows.last_mut() {
            Some(row) if held.saturating_add(more) <= MAX_BATCH_BYTES => {
                held += more;
                row.push(item);
            }
            _ => {
                held = more;
                rows.push(vec![item]);
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_everything_in_order_and_no_more_than_they_may() {
        let check = |weights: &[usize], expected: &[&[usize]]| {
            assert_eq!(rows(weights.to_vec(), |weight| *weight), expected);
        };
        let (half, over) = (MAX_BATCH_BYTES / 2, MAX_BATCH_BYTES + 1);
        check(&[], &[]);
        check(&[1, half], &[&[1, half]]);
        check(&[half, half, 1], &[&[half, half], &[1]]);
        check(&[1, over, 1], &[&[1], &[over], &[1]]);
    }
}
