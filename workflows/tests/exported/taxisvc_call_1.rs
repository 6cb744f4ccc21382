//! The run 00000000-0000-0000-0000-000000000007 of `taxisvc.call.1`, as it was stored when it was running.
//!
//! Written by `hansom workflow export taxisvc.call.1 --as-test`. It holds as long as the body agrees
//! with this history, and else says what history has and what the code asks for.

use hansom_core::testing::Golden;
use hansom_workflows::taxi_call::TaxiCall;

#[test]
fn taxisvc_call_1_agrees_with_its_history() {
    Golden::<TaxiCall>::parse(HISTORY).replay();
}

pub(crate) const HISTORY: &str = r#"{
  "workflow": "taxi_call",
  "run": "00000000-0000-0000-0000-000000000007",
  "history": [
    {"at": 0, "events": [
      {"started":{"input":{"call_id":1,"user_id":"1","user_name":"nana","distance":2000}}},
      {"run":{"activity":"register_call","request":{"call_id":1,"user_id":"1","user_name":"nana","distance":2000},"undo":{"activity":"cancel_call","request":{"call_id":1}}}}
    ]},
    {"at": 1000000, "events": [
      {"done":{"seq":0,"output":null}},
      {"run":{"activity":"charge_fare","request":{"call_id":1,"fare":200000},"undo":{"activity":"refund_fare","request":{"call_id":1}}}}
    ]},
    {"at": 2000000, "events": [
      {"done":{"seq":1,"output":5}},
      {"run":{"activity":"mark_call","request":{"call_id":1,"status":"driveRequest"},"undo":{"activity":"cancel_call","request":{"call_id":1}}}}
    ]},
    {"at": 3000000, "events": [
      {"done":{"seq":2,"output":null}},
      {"run":{"activity":"request_drive","request":{"call_id":1,"fare":200000},"undo":{"activity":"release_drive","request":{"call_id":1}}}}
    ]},
    {"at": 4000000, "events": [
      {"done":{"seq":3,"output":{"drive_id":7,"driver_name":"driver1111","taxi_num":"1111"}}},
      {"run":{"activity":"mark_call","request":{"call_id":1,"status":"driveStart"}}}
    ]},
    {"at": 5000000, "events": [
      {"done":{"seq":4,"output":null}}
    ]}
  ]
}
"#;
