//! Documents have Podman's members: `docs/spec/json-shapes.json`, path by path.

use serde_json::Value;

use crate::archive::IMAGE;
use crate::scratch::Scratch;

/// What the shapes call a document, and the line that shows it.
const DOCUMENTS: &[(&str, &str)] = &[
    ("inspect container", "inspect whole"),
    ("ps --format json", "ps --ns --format json"),
    (
        "stats --no-stream --format json",
        "stats --no-stream --format json",
    ),
    ("mount --format json", "mount --format json"),
];

#[test]
fn documents_have_podmans_members() {
    let Some(scratch) = Scratch::new() else {
        return;
    };
    scratch.ok(&format!(
        "run -d --name whole --network none --label a=b -v data:/data -e A=1 --tmpfs /t \
         --health-cmd true --health-interval 1h {IMAGE} sleep 1000"
    ));
    scratch.ok("mount whole");
    let text = include_str!("../../../../docs/spec/json-shapes.json");
    let shapes: Value = serde_json::from_str(text).unwrap();
    let mut missing = Vec::new();
    for (shape, line) in DOCUMENTS {
        let document: Value = serde_json::from_str(&scratch.ok(line)).unwrap();
        for path in shapes[shape]["paths"].as_object().unwrap().keys() {
            let steps: Vec<&str> = path.split('.').collect();
            if !has(&document, &steps) {
                missing.push(format!("{shape}: {path}"));
            }
        }
    }
    scratch.ok("unmount whole");
    scratch.ok("rm -f -t 0 whole");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Whether a document has a path such as `[].State.Pid`. What hangs below null or nothing is
/// not looked for.
fn has(document: &Value, steps: &[&str]) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return true;
    };
    let name = step.trim_end_matches("[]");
    let mut next = match (document, name) {
        (Value::Null, _) => return true,
        (Value::Object(members), "<key>") => match members.values().next() {
            Some(first) => first,
            None => return true,
        },
        (document, "") => document,
        (document, name) => match document.get(name) {
            Some(member) => member,
            None => return false,
        },
    };
    for _ in 0..step.matches("[]").count() {
        next = match next.as_array().and_then(|items| items.first()) {
            Some(first) => first,
            None => return true,
        };
    }
    has(next, rest)
}
