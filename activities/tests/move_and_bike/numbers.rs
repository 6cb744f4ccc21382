//! The numbers that sagas are begun with.

use std::collections::BTreeSet;

use hansom_activities::numbers::{Numbers, Series};
use tokio::task::JoinSet;

use super::services;

#[tokio::test]
async fn a_key_has_its_number_from_before_the_start_and_a_repetition_takes_none() {
    let (pool, _database) = services().await;
    let numbers = Numbers::new(pool.clone());
    assert_eq!(numbers.drawn(Series::MoveOrder, "a").await.unwrap(), None);
    assert_eq!(numbers.next_for(Series::MoveOrder, "a").await.unwrap(), 1);
    // Whoever drew it was killed before it started anything: nothing but the database knows.
    drop(numbers);
    let numbers = Numbers::new(pool);
    for _ in 0..3 {
        assert_eq!(numbers.next_for(Series::MoveOrder, "a").await.unwrap(), 1);
    }
    assert_eq!(numbers.drawn(Series::MoveOrder, "a").await.unwrap(), Some(1));
    assert_eq!(numbers.next(Series::MoveOrder).await.unwrap(), 2);
    assert_eq!(numbers.next_for(Series::MoveOrder, "A").await.unwrap(), 3);
    let other = numbers.drawn(Series::BikeApproval, "a").await.unwrap();
    assert_eq!(other, None, "each series has its own");
    assert_eq!(numbers.next_for(Series::BikeApproval, "a").await.unwrap(), 1);
}

#[tokio::test]
async fn of_many_who_draw_for_one_key_at_once_all_have_one_number() {
    let (pool, _database) = services().await;
    for round in 0..20 {
        let mut drawing = JoinSet::new();
        for _ in 0..8 {
            let numbers = Numbers::new(pool.clone());
            let key = format!("key {round}");
            drawing.spawn(async move { numbers.next_for(Series::TaxisvcCall, &key).await });
        }
        let drawn: Result<BTreeSet<_>, _> = drawing.join_all().await.into_iter().collect();
        assert_eq!(drawn.unwrap().len(), 1, "round {round}");
    }
}
