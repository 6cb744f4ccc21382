//! Kinds of problem that only this façade has.

use crate::systems::kinds::kinds;

kinds! {
    PAYMENT_DECLINED = 402 "taxisvc.payment_declined" "The payment was declined";
    CALL_CANCELLED = 409 "taxisvc.call_cancelled" "The call was cancelled before it was paid";
    CALL_TERMINATED = 409 "taxisvc.call_terminated" "The call was terminated";
    CALL_COMPLETED = 409 "taxisvc.call_completed" "The call is completed";
    CALL_TAKEN = 409 "taxisvc.call_taken" "The call belongs to another saga";
    PAYMENT_UNAVAILABLE = 503 "taxisvc.payment_unavailable" "The payment did not answer";
    CALL_PENDING = 504 "taxisvc.call_pending" "The call is not settled yet";
}
