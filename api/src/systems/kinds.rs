//! Kinds of problem that the façades share.

pub(super) use crate::http::kinds::Kind;

/// Kinds of problem of one façade: their codes begin with its name.
macro_rules! kinds {
    ($($name:ident = $status:literal $code:literal $title:literal;)*) => {
        $(
            pub(super) const $name: crate::http::kinds::Kind = crate::http::kinds::Kind {
                uri: concat!("/problems/", $code),
                title: $title,
                status: $status,
                code: $code,
            };
        )*

        pub(super) const KINDS: &[crate::http::kinds::Kind] = &[$($name),*];
    };
}

pub(super) use kinds;

kinds! {
    FIELD = 400 "gateway.field" "A field cannot be used";
    PARAMETER = 400 "gateway.parameter" "A parameter cannot be used";
    NOT_FOUND = 404 "gateway.not_found" "There is no such resource";
    KEY_USED = 422 "gateway.key_used" "The Idempotency-Key was used for something else";
    SERVICE_DOWN = 503 "service.down" "A service does not answer";
}
