//! A taxi that is paid for when it is called.

use hansom_e2e::story;

const PATH: &str = "/page/taxisvc";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_placed_driven_and_paid() {
    story("taxi-driven", PATH, async |page, server| {
        page.sees(".headline", "No call yet").await;
        page.write("userName", "<b>nana</b>").await;
        page.sees(".form .note", "₩200,000").await;
        page.tap("Call a taxi").await;
        page.sees(".headline", "A driver is on the way").await;
        page.sees(".line", "driver1111, taxi 1111").await;
        // Whatever a rider calls themselves, it is a text.
        page.sees(".headline", "You are driving <b>nana</b>").await;
        page.sees(".story", "Take the fare").await;
        page.tap("End the ride").await;
        page.sees(".headline", "You have arrived").await;
        page.sees(".line", "₩200,000 was paid").await;
        page.sees(".story", "Completed").await;
        let call = server.get("/taxisvc/calls/1").await;
        assert_eq!(call["callStatus"], "driveComplete");
        page.misses(".error").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_cancelled_is_refunded() {
    story("taxi-cancelled", PATH, async |page, server| {
        page.tap("Call a taxi").await;
        page.sees(".headline", "A driver is on the way").await;
        page.tap("Cancel the call").await;
        page.sees(".headline", "The call is cancelled").await;
        page.sees(".line", "₩200,000 was refunded").await;
        page.sees(".headline", "The ride was cancelled").await;
        page.sees(".story", "Give the fare back").await;
        let payments = server.get("/taxisvc/payments").await;
        assert_eq!(payments["_embedded"]["payments"][0]["status"], "REFUNDED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_drives_further_than_a_hundred_kilometres() {
    story("taxi-too-far", PATH, async |page, _| {
        page.write("distance", "101").await;
        page.sees(".form .note", "No driver goes further").await;
        page.tap("Call a taxi").await;
        page.sees(".line", "No driver goes that far. ₩1,010,000 was refunded.").await;
        page.sees(".headline", "Too far").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_declined_is_told_in_words_of_both_languages() {
    story("taxi-declined", PATH, async |page, server| {
        page.switch("payment.decline", true).await;
        assert_eq!(server.get("/faults/payment").await["decline"], true);
        page.tap("Call a taxi").await;
        page.sees("[role=alert]", "The payment was declined").await;
        page.sees("[role=alert]", "call 1: nothing was charged").await;
        page.sees(".headline", "The payment did not go through").await;
        page.tap("한국어").await;
        page.tap("택시 호출").await;
        page.sees("[role=alert]", "결제가 거절되었습니다").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_taps_call_one_taxi() {
    story("taxi-double-tap", PATH, async |page, server| {
        page.double_tap("Call a taxi").await;
        page.sees(".headline", "A driver is on the way").await;
        assert_eq!(server.get("/taxisvc/calls").await["page"]["totalElements"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_press_whose_answer_is_lost_calls_one_taxi_and_the_next_press_another() {
    story("taxi-lost-answer", PATH, async |page, server| {
        page.script(
            "const sent = window.fetch; window.keys = []; window.fetch = async (path, given) => {
                const answer = await sent(path, given);
                const key = given?.headers?.['idempotency-key'];
                if (key && window.keys.push(key) === 1) throw new TypeError('lost');
                return answer;
            };",
        )
        .await;
        page.tap("Call a taxi").await;
        page.until("window.keys.length === 2").await;
        page.sees(".headline", "A driver is on the way").await;
        page.misses(".error").await;
        assert_eq!(server.get("/taxisvc/calls").await["page"]["totalElements"], 1);
        page.tap("End the ride").await;
        page.sees(".headline", "You have arrived").await;
        page.tap("Call a taxi").await;
        page.until("window.keys.length === 3").await;
        page.until("keys[0] === keys[1] && keys[1] !== keys[2]").await;
        server.until("/taxisvc/calls", |calls| calls["page"]["totalElements"] == 2).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_who_does_not_show_up_is_waited_for() {
    story("taxi-no-show", PATH, async |page, _| {
        page.switch("drive.down", true).await;
        page.sees(".notice", "drives").await;
        page.tap("Call a taxi").await;
        page.sees(".headline", "Paid. Finding a driver").await;
        page.sees(".story", "the service is down").await;
        page.switch("drive.down", false).await;
        page.sees(".headline", "A driver is on the way").await;
        page.misses(".notice").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_said_of_a_charge_that_nobody_knows_of() {
    story("taxi-slow", PATH, async |page, _| {
        page.switch("payment.slow", true).await;
        page.sees(".notice", "payments").await;
        page.tap("Call a taxi").await;
        page.sees("[role=alert]", "The payment did not answer").await;
        page.sees(".line", "If it was charged after all, it is refunded").await;
        page.sees(".story", "nobody knows whether it happened").await;
    })
    .await;
}
