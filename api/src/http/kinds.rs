//! Every kind of problem, once: its stable code, its HTTP status, its title.

use serde::Serialize;
use utoipa::ToSchema;

/// A kind of problem. The code is for programs and never changes; the title is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Kind {
    /// Where this kind is described.
    #[serde(rename = "type")]
    pub uri: &'static str,
    /// What kind of problem it is, the same for every occurrence.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Stable code.
    pub code: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $status:literal $code:literal $title:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: Kind = Kind {
                uri: concat!("/problems/", $code),
                title: $title,
                status: $status,
                code: $code,
            };
        )*
        /// All of them.
        pub const ALL: &[Kind] = &[$($name),*];
    };
}

kinds! {
    BAD_REQUEST = 400 "request.malformed" "The request is malformed";
    BODY_NOT_OBJECT = 400 "body.not_object" "The body is not a JSON object";
    BODY_BROKEN = 400 "body.broken" "The body ended before it was complete";
    JSON_SYNTAX = 400 "json.syntax" "The body is not JSON";
    JSON_TRAILING = 400 "json.trailing" "Something follows the JSON document";
    JSON_DUPLICATE_KEY = 400 "json.duplicate_key" "An object names a key twice";
    UTF8_INVALID = 400 "utf8.invalid" "The text is not UTF-8";
    TEXT_NUL = 400 "text.nul" "A text contains a NUL character";
    KEY_LENGTH = 400 "idempotency.key_length" "The Idempotency-Key has the wrong length";
    KEY_TWICE = 400 "idempotency.key_twice" "There is more than one Idempotency-Key";
    PAGE_CURSOR = 400 "page.cursor" "The cursor is not from a page of this list";
    CSRF = 403 "csrf" "The request comes from a page of another site";
    NOT_FOUND = 404 "not_found" "There is no such workflow";
    SCHEDULE_NOT_FOUND = 404 "schedule.not_found" "There is no such schedule";
    VIEW_NOT_FOUND = 404 "view.not_found" "There is no such view";
    VIEW_ROW_NOT_FOUND = 404 "view.row_not_found" "The view has no such row";
    ROUTE_UNKNOWN = 404 "route.unknown" "There is no such resource";
    API_VERSION = 404 "api.version" "There is no such version of the API";
    METHOD = 405 "method.not_allowed" "The resource does not know this method";
    ACCEPT = 406 "accept" "The answer is not available in that format";
    BODY_TIMEOUT = 408 "body.timeout" "The body did not arrive in time";
    INPUT_CONFLICT = 409 "workflow.input_conflict" "The workflow was started with another input";
    WORKFLOW_CLOSED = 409 "workflow.closed" "The workflow is closed";
    AFTER_PIVOT = 409 "cancel.after_pivot" "The workflow is past its point of no return";
    NOT_STUCK = 409 "workflow.not_stuck" "The workflow is not stuck";
    SCHEDULE_EXISTS = 409 "schedule.exists" "There is another schedule of that id";
    STILL_OPEN = 409 "workflow.open" "The workflow is still open";
    TASK_LOST = 409 "task.lost" "The task is not held any more";
    BODY_TOO_LARGE = 413 "body.too_large" "The body is too large";
    PAYLOAD_TOO_LARGE = 413 "payload.too_large" "A payload is too large";
    URI_TOO_LONG = 414 "uri.too_long" "The URL is too long";
    CONTENT_TYPE = 415 "content_type" "The body is not announced as JSON";
    ENCODING = 415 "encoding.unsupported" "Compressed bodies are not read";
    JSON_TOO_DEEP = 422 "json.too_deep" "The JSON is nested too deeply";
    NUMBER_RANGE = 422 "number.range" "A number cannot be represented";
    FIELD_UNKNOWN = 422 "field.unknown" "The body has a field that is not known";
    FIELD_REQUIRED = 422 "field.required" "The body lacks a field";
    FIELD_TYPE = 422 "field.type" "A field has the wrong type";
    FIELD_VALUE = 422 "field.value" "A field has a value that is not allowed";
    ID_SYNTAX = 422 "id.syntax" "The id has characters or a length that are not allowed";
    INPUT_INVALID = 422 "input.invalid" "The input does not have the shape the workflow is started with";
    WORKFLOW_UNKNOWN = 422 "workflow.unknown" "There is no such workflow type";
    ACTIVITY_UNKNOWN = 422 "activity.unknown" "There is no such activity";
    ANSWER_INVALID = 422 "answer.invalid" "The answer does not have the shape of the activity's";
    TOKEN_SYNTAX = 422 "token.syntax" "That is no token of a task";
    SIGNAL_UNKNOWN = 422 "signal.unknown" "The workflow does not listen to that signal";
    UPDATE_UNKNOWN = 422 "update.unknown" "The workflow does not answer that update";
    UPDATE_REFUSED = 422 "update.refused" "The workflow refused the update";
    SCHEDULE_SPEC = 422 "schedule.spec" "The schedule cannot be read";
    SCHEDULE_ZONE = 422 "schedule.zone" "There is no such time zone";
    CATCHUP_LIMIT = 422 "schedule.catchup_limit" "There are too many times to catch up with";
    PARAMETER_UNKNOWN = 422 "parameter.unknown" "The URL has a parameter that is not known";
    PARAMETER_REPEATED = 422 "parameter.repeated" "The URL has a parameter twice";
    PAGE_LIMIT = 422 "page.limit" "The page size is not allowed";
    FILTER_VALUE = 422 "filter.value" "A filter has a value that is not allowed";
    FILTER_TOO_LONG = 422 "filter.too_long" "The filter has too many terms";
    TIME_SYNTAX = 422 "time.syntax" "A time cannot be read";
    TIME_RANGE = 422 "time.range" "A time is out of range";
    DURATION_SYNTAX = 422 "duration.syntax" "A duration cannot be read";
    DURATION_RANGE = 422 "duration.range" "A duration is out of range";
    QUEUE_FULL = 429 "signal.queue_full" "Too many messages wait for the workflow";
    SCHEDULE_BUFFER_FULL = 429 "schedule.buffer_full" "Too many fires of the schedule wait";
    INTERNAL = 500 "internal" "The server made a mistake";
    OVERLOADED = 503 "server.overloaded" "The server has too much to do to start more";
    DRAINING = 503 "draining" "The server is being stopped";
    STORE_UNAVAILABLE = 503 "store.unavailable" "The database does not answer";
    STORE_BUSY = 503 "store.busy" "The database is busy";
    STORE_DISK_FULL = 503 "store.disk_full" "The database's disk is full";
}
