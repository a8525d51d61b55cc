//! Servers of `node:http`. The checks are in the folder `node`; clients are compared with Node.js by `cargo xtask packages`.

use isopod_runtime::{Compatibility, NodeCompat};
use serde_json::json;

use crate::common::{call, script};

#[test]
fn servers_answer_by_responses() {
    let source = concat!(include_str!("web/checks.js"), include_str!("node/http.js"));
    assert_eq!(call(script(source), "servers", vec![]).unwrap(), json!([]));
}

#[test]
fn servers_need_node_compatibility() {
    let source =
        "import { httpServerHandler } from 'cloudflare:node'; export const is = () => typeof httpServerHandler;";
    let with = |node| {
        let script = script(source).compatibility(Compatibility::default().node(node));
        call(script, "is", vec![])
    };
    assert_eq!(with(NodeCompat::Prefixed).unwrap(), json!("function"));
    let refused = with(NodeCompat::Off).unwrap_err().message;
    assert!(
        refused.contains("add `nodejs_compat` to `compatibility_flags`"),
        "{refused}"
    );
}
