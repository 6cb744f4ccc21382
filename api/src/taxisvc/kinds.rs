//! Kinds of problem that only this façade has.

use crate::http::kinds::Kind;

macro_rules! kinds {
    ($($name:ident = $status:literal $code:literal $title:literal;)*) => {$(
        pub(super) const $name: Kind = Kind {
            uri: concat!("/problems/", $code),
            title: $title,
            status: $status,
            code: $code,
        };
    )*};
}

kinds! {
    FIELD = 400 "taxisvc.field" "A field cannot be used";
    PARAMETER = 400 "taxisvc.parameter" "A parameter cannot be used";
    PAYMENT_DECLINED = 402 "taxisvc.payment_declined" "The payment was declined";
    NOT_FOUND = 404 "taxisvc.not_found" "There is no such resource";
    CALL_CANCELLED = 409 "taxisvc.call_cancelled" "The call was cancelled before it was paid";
    CALL_COMPLETED = 409 "taxisvc.call_completed" "The call is completed";
    CALL_TAKEN = 409 "taxisvc.call_taken" "The call belongs to another saga";
    PAYMENT_UNAVAILABLE = 503 "taxisvc.payment_unavailable" "The payment did not answer";
    SERVICE_DOWN = 503 "taxisvc.service_down" "A service does not answer";
    CALL_PENDING = 504 "taxisvc.call_pending" "The call is not settled yet";
}
