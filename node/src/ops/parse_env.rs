//! `util.parseEnv`.

use std::collections::BTreeMap;

use deno_core::op2;

/// Reads lines of `NAME=value`.
#[op2]
#[serde]
pub(super) fn op_node_parse_env(#[string] text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    deno_dotenv::parse_env_content_hook(text, &mut |name, value| {
        values.insert(name.to_owned(), value.to_owned());
    });
    values
}
