//! The batching policy, by its properties.

use homolog_engine::batch::together;
use proptest::prelude::*;

/// What waits: kinds, in the order in which they came.
fn lines() -> impl Strategy<Value = (Vec<u8>, usize)> {
    (prop::collection::vec(0u8..4, 0..40), 0usize..10)
}

proptest! {
    #[test]
    fn a_batch_holds_the_first_and_what_is_like_it_and_no_more_than_it_may((line, most) in lines()) {
        let chosen = together(&line, most);
        prop_assert_eq!(chosen.is_empty(), line.is_empty());
        prop_assert!(chosen.len() <= most.max(1));
        prop_assert!(chosen.first().is_none_or(|place| *place == 0));
        prop_assert!(chosen.is_sorted_by(|a, b| a < b));
        prop_assert!(chosen.iter().all(|place| line[*place] == line[0]));
    }

    #[test]
    fn nothing_that_could_have_come_along_is_passed_over((line, most) in lines()) {
        let chosen = together(&line, most);
        let alike: Vec<usize> = (0..line.len()).filter(|place| line[*place] == line[0]).collect();
        prop_assert_eq!(&chosen[..], &alike[..alike.len().min(most.max(1))]);
    }

    #[test]
    fn all_are_served_and_each_after_no_more_batches_than_stood_before_it((line, most) in lines()) {
        let mut left: Vec<(usize, u8)> = line.iter().copied().enumerate().collect();
        let mut batches = 0;
        while !left.is_empty() {
            let chosen = together(left.iter().map(|(_, kind)| *kind), most);
            for place in chosen.iter().rev() {
                let (came, _) = left.remove(*place);
                prop_assert!(batches <= came);
            }
            batches += 1;
        }
        prop_assert!(batches <= line.len());
    }
}
