//! The web platform as scripts see it. The checks are in the folder `web`, with references to the standards.

use isopod_runtime::Limits;
use isopod_runtime::quotas::Quotas;
use serde_json::json;

use crate::common::{call, script};

macro_rules! checks {
    ($($test:ident: $file:literal, $function:literal;)*) => {$(
        #[test]
        fn $test() {
            let source = concat!(include_str!("web/checks.js"), include_str!(concat!("web/", $file)));
            assert_eq!(call(script(source), $function, vec![]).unwrap(), json!([]));
        }
    )*};
}

checks! {
    buffers_are_handed_over: "clone.js", "buffers";
    what_cannot_be_cloned_is_refused: "clone.js", "refused";
    copies_are_of_their_kind: "clone.js", "copies";
    keys_are_cloned: "clone.js", "keys";
    channels_of_a_name_hear_each_other: "clone.js", "broadcasts";
    ports_pass_messages_on: "clone.js", "ports";
    streams_are_handed_over: "clone.js", "streams";
    memory_grows_as_its_standard_says: "built_ins.js", "grow";
    buffers_are_resized_as_their_standard_says: "built_ins.js", "buffers";
    modules_of_webassembly_are_made_as_their_standard_says: "built_ins.js", "modules";
    ec_keys_of_a_pair_belong_together: "keys.js", "ec";
    ec_keys_of_384_bits_belong_together: "keys.js", "ecOf384";
    ec_keys_of_521_bits_belong_together: "keys.js", "ecOf521";
    ed25519_keys_of_a_pair_belong_together: "keys.js", "ed25519";
    ed448_keys_of_a_pair_belong_together: "keys.js", "ed448";
    ed448_signs_and_verifies: "keys.js", "ed448Signs";
    x25519_keys_of_a_pair_belong_together: "keys.js", "x25519";
    rsa_numbers_belong_together: "keys.js", "rsa";
    rsa_keys_are_cloned: "keys.js", "rsaCopies";
    keys_that_come_as_bytes_are_whole: "keys.js", "asBytes";
    errors_of_an_import_have_their_order: "keys.js", "order";
    arguments_of_cryptography_may_call_operations: "conversions.js", "cryptography";
    interfaces_have_the_members_of_their_standards: "interfaces.js", "members";
    requests_for_parts_of_blobs_are_answered: "interfaces.js", "requests";
    digests_of_streams_are_those_of_their_standards: "workers.js", "digests";
    buffers_are_compared: "workers.js", "equality";
    waiting_is_a_promise: "workers.js", "waits";
    bytes_pass_through_streams: "workers.js", "pipes";
    performance_is_observed: "workers.js", "observers";
    stores_follow_asynchronous_operations: "async_context.js", "follows";
    async_hooks_has_the_members_of_node: "async_context.js", "members";
    html_is_rewritten_by_handlers: "html.js", "members";
    html_is_rewritten_while_it_is_read: "html.js", "streaming";
    tokens_end_with_their_handlers: "html.js", "hostile";
    rewriters_and_their_handlers_are_bounded: "html.js", "many";
    patterns_match_urls: "url_patterns.js", "patterns";
    operations_are_no_constructors: "built_ins.js", "operationsOfTheGlobalObject";
}

#[test]
fn functions_of_the_runtime_stay_hidden_when_its_scripts_are_loaded() {
    let source = "export const names = () => {
        new URLPattern({ pathname: '/' });
        return [Crypto, CryptoKey].flatMap(Object.getOwnPropertyNames);
    };";
    let names = call(script(source), "names", vec![]).unwrap();
    let plain = ["length", "name", "prototype"];
    assert_eq!(names, json!([plain, plain].concat()));
}

#[test]
fn tokens_of_html_and_their_content_are_bounded() {
    let source = concat!(include_str!("web/checks.js"), include_str!("web/html.js"));
    let limits = Limits::default().quotas(Quotas::default().native_bytes(8 << 20));
    assert_eq!(
        call(script(source).limits(limits), "endless", vec![]).unwrap(),
        json!([])
    );
}
