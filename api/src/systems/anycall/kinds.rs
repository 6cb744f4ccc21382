//! Kinds of problem that only this façade has.

use crate::systems::kinds::kinds;

kinds! {
    NO_CARD = 402 "anycall.no_card" "The member has no card";
    DECLINED = 402 "anycall.payment_declined" "The payment was declined";
    STAGE = 409 "anycall.stage" "The ride is not where this may be asked";
    STANDS = 409 "anycall.amount_stands" "Another amount may have been paid";
    CLOSED = 409 "anycall.payment_closed" "The payment of the ride is closed";
    OVER = 409 "anycall.over" "The ride is over";
    TAKEN = 409 "anycall.call_taken" "The call belongs to another ride";
    PAYMENT_UNAVAILABLE = 503 "anycall.payment_unavailable" "The payment did not answer";
    PENDING = 504 "anycall.pending" "The ride has not got to it yet";
}
