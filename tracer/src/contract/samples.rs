//! An incident as a history has it: victim 10, child of sv[5].
use serde_json::json;

use crate::{contract::Incident, model::cause::CauseKind};

pub fn incident(class: CauseKind, signal: u32) -> Incident {
    let process = |pid: u32, comm: &str| {
        json!({
            "pid": pid, "comm": comm, "uid": 0,
            "start_time": "2026-11-21T10:00:00.000000000Z",
            "ancestors": [{"pid": 5, "comm": "sv"}],
        })
    };
    let sender = (class == CauseKind::Sent).then(|| process(5, "sv"));
    let json = json!({
        "schema": 1, "kind": "incident", "id": "019aa4d2-6f31-7abc-8def-0123456789ab",
        "number": 1, "time": "2026-11-21T10:03:07.121456789Z",
        "last": "2026-11-21T10:03:07.121456789Z", "boot_ns": 187_121_456_789_u64,
        "host": "host", "boot_id": "boot", "victim": process(10, "geo-api"),
        "cause": {
            "class": class.name(), "confidence": "proven", "summary": "as it was",
            "culprit": sender,
        },
        "signal": {"number": 9, "name": "SIGKILL", "code": 0, "code_name": "SI_USER"},
        "outcome": if signal == 0 { "exited" } else { "killed" },
        "exit": {
            "signal": (signal != 0).then_some(signal), "code": (signal == 0).then_some(1),
            "core": false, "time": "2026-11-21T10:03:07.131456789Z",
        },
        "advice": "be careful", "complete": true, "lost": 0,
    });
    serde_json::from_value(json).expect("the contract")
}
