//! Movers who are assigned by themselves.

use hansom_e2e::story;

const PATH: &str = "/page/move";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_confirmed_told_and_cancelled() {
    story("move-cancelled", PATH, async |page, server| {
        page.sees(".headline", "No order yet").await;
        page.tap("Order movers").await;
        page.sees(".headline", "Your mover is confirmed").await;
        page.sees(".messages", "할당확정").await;
        page.tap("Cancel the order").await;
        page.sees(".headline", "The order is cancelled").await;
        page.sees(".messages", "호출취소").await;
        let movers = server.get("/move/movers").await;
        assert_eq!(movers["page"]["totalElements"], 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_the_manager_cannot_take_is_refused_in_words() {
    story("move-refused", PATH, async |page, _| {
        page.switch("movemanage.down", true).await;
        page.tap("Order movers").await;
        page.sees("[role=alert]", "A service does not answer").await;
        page.sees("[role=alert]", "no order was made").await;
        page.sees(".headline", "No order yet").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_may_wait_is_taken_and_goes_on_when_the_manager_is_back() {
    story("move-fallback", PATH, async |page, _| {
        page.switch("movemanage.down", true).await;
        page.tap_on("label:has(> input[value=fallback])").await;
        page.tap("Order movers").await;
        page.sees(".headline", "Looking for a mover").await;
        page.switch("movemanage.down", false).await;
        page.sees(".headline", "Your mover is confirmed").await;
    })
    .await;
}
