//! A taxi that a driver accepts, and that is paid for when it arrives.

use hansom_e2e::{Page, story};

const PATH: &str = "/page/anycall";

async fn call(page: &Page) {
    page.sees(".headline", "No call yet").await;
    page.tap("Register").await;
    page.sees(".facts", "****-****-****-3456").await;
    page.tap("Call a taxi").await;
    page.sees(".headline", "Looking for a taxi").await;
    page.sees(".headline", "Somebody calls a taxi").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ride_is_accepted_driven_paid_and_reviewed() {
    story("anycall-ride", PATH, async |page, server| {
        call(page).await;
        page.tap("Accept the call").await;
        page.sees(".headline", "A taxi is on its way").await;
        page.sees(".messages", "택시가 배정되었습니다").await;
        let offered = "[...document.querySelectorAll('button')].some((button) => \
            button.textContent.trim() === 'Cancel the call' && button.checkVisibility())";
        let shown = page.script(offered).await;
        assert_eq!(shown, false, "it is too late for that");
        page.tap("Start the ride").await;
        page.sees(".headline", "You are under way").await;
        page.sees(".messages", "To your friend by SMS").await;
        page.tap("Send my position").await;
        page.sees(".line", "The taxi is at 37.3718, 127.0881").await;

        page.switch("payment.decline", true).await;
        page.tap("End the ride").await;
        page.sees("[role=alert]", "The payment was declined").await;
        page.sees("[role=alert]", "the ride stays open").await;
        page.switch("payment.decline", false).await;
        page.tap("End the ride").await;
        page.sees(".headline", "You have arrived").await;
        page.sees(".line", "₩15,000 was paid by card").await;
        page.sees(".messages", "택시비용 결제요청 되었습니다").await;
        page.tap("Send the review").await;
        page.sees(".headline", "Thank you for your review").await;

        let call = server.get("/anycall/calls/1").await;
        assert_eq!(call["callStatus"], "서비스평가");
        let shown = page.script("document.body.innerText.includes('1234')").await;
        assert_eq!(shown, false, "the number of the card is nobody's business");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_no_taxi_has_is_cancelled() {
    story("anycall-cancelled", PATH, async |page, server| {
        call(page).await;
        page.tap("Cancel the call").await;
        page.sees(".headline", "The call is cancelled").await;
        let call = server.get("/anycall/calls/1").await;
        assert_eq!(call["callStatus"], "호출취소");
    })
    .await;
}

/// A ride whose driver has two seconds, which is otherwise a setting of the server.
const IMPATIENT: &str = "fetch('/v1/workflows', { method: 'POST', \
    headers: { 'content-type': 'application/json' }, body: JSON.stringify({ \
    type: 'anycall_ride', id: 'anycall.call.1', input: { call_id: 1, member_id: 1, \
    phone_number: '010-7202-2664', start_address: '정자동', end_address: '목동', \
    terms: { no_show_after_ms: 2000 } } }) }).then((answer) => answer.status)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taxi_that_never_comes_is_let_go_and_the_rider_hears_of_it() {
    story("anycall-no-show", PATH, async |page, _| {
        page.tap("Register").await;
        page.sees(".facts", "****-****-****-3456").await;
        page.script(IMPATIENT).await;
        page.tap("Accept the call").await;
        page.sees(".messages", "택시가 배정되었습니다").await;
        page.sees(".messages", "배정된 택시가 오지 않아 호출이 취소되었습니다").await;
        page.sees(".headline", "The call is cancelled").await;
        page.sees(".headline", "The call was cancelled").await;
    })
    .await;
}
