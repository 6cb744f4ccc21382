//! Bikes for points.

use hansom_e2e::story;

const PATH: &str = "/page/bike";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_are_bought_spent_and_given_back() {
    story("bike-points", PATH, async |page, server| {
        page.tap("Register a bike").await;
        page.sees(".stock", "1. red").await;
        page.sees(".balance", "0 points").await;
        page.tap("Buy points").await;
        page.sees(".balance", "3,000 points").await;
        page.tap("Reserve").await;
        page.sees(".headline", "The bike is yours").await;
        page.sees(".balance", "2,000 points").await;
        page.sees(".stock", "taken").await;
        page.tap("Cancel the reservation").await;
        page.sees(".headline", "The reservation is cancelled").await;
        page.sees(".balance", "3,000 points").await;
        page.tap("Reserve").await;
        page.sees(".headline", "The bike is yours").await;
        page.tap("Give the bike back").await;
        page.sees(".headline", "The bike is back").await;
        page.sees(".balance", "2,000 points").await;
        let points = server.get("/bike/points/10").await;
        assert_eq!(points["totalPoint"], 2_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_points_has_no_bike() {
    story("bike-rejected", PATH, async |page, _| {
        page.tap("Register a bike").await;
        page.sees(".stock", "1. red").await;
        page.tap("Reserve").await;
        page.sees(".headline", "The reservation was rejected").await;
        page.sees(".stock", "free").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_looks_at_what_is_theirs_unless_they_pick_something_else() {
    story("bike-own", PATH, async |page, _| {
        page.tap("Register a bike").await;
        page.sees(".stock", "1. red").await;
        page.tap("Buy points").await;
        page.sees(".balance", "3,000 points").await;
        page.tap("Reserve").await;
        page.sees(".headline", "The bike is yours").await;
        page.write("userId", "11").await;
        page.sees(".headline", "No reservation yet").await;
        page.sees(".balance", "0 points").await;
        page.tap("Reserve").await;
        page.sees(".headline", "The reservation was rejected").await;
        page.write("userId", "10").await;
        page.sees(".headline", "The bike is yours").await;
        page.tap_on(".past [data-id='2']").await;
        page.sees(".headline", "The reservation was rejected").await;
    })
    .await;
}
