//! An event type that Isopod does not have: a type with the handler's input, and a script that creates the handler's argument.

use futures::executor::block_on;
use isopod::deno_core::{self, Extension};
use isopod::extend::Extend;
use isopod::{Arguments, Body, HandlerInput, Input, Meta, Options, Outcome, Script};
use serde::Deserialize;

use crate::pools::{self, TestPool};

struct Email {
    from: &'static str,
    to: &'static str,
    raw: &'static str,
}

impl HandlerInput for Email {
    const HANDLER: &'static str = "email";
    const SCRIPT: Option<&'static str> = Some("ext:mail/mail.js");

    fn into_input(self) -> Input {
        let arguments = Arguments::new().value(self.from).value(self.to);
        Input::from_arguments(arguments.stream(Body::from(self.raw)))
    }
}

#[derive(Debug, Deserialize, PartialEq)]
struct Verdict {
    rejected: Option<String>,
}

deno_core::extension!(
    mail,
    lazy_loaded_js = ["ext:mail/mail.js" = {
        source = "(function () {
        function email(_held, from, to, raw) {
            let rejected = null;
            const input = { from, to, raw, setReject(reason) { rejected = reason } };
            return { input, reply: () => ({ rejected }) };
        }
        return { email };
    })();"
    }]
);

struct Mail;

impl Extend for Mail {
    fn extensions(&self) -> Vec<Extension> {
        vec![mail::init()]
    }
}

fn pool_of(source: &str) -> TestPool {
    let pool = pools::build(pools::one_thread().extend(Mail));
    let script = Script::builder("s").source(source).build().expect("a script");
    pool.deploy("s", script, &Options::default()).expect("deployed");
    pool
}

const SPAM: Email = Email {
    from: "a@example.com",
    to: "b@example.com",
    raw: "win a prize",
};

#[test]
fn the_row_converts_input_and_answer() {
    let pool = pool_of(
        "export default { async email(message, env, ctx) {
            ctx.waitUntil(Promise.resolve());
            const text = await new Response(message.raw).text();
            if (text.includes('prize')) message.setReject(`${message.to} wants no prize of ${message.from}`);
            return 'not the answer'; } };",
    );
    let send = |raw| block_on(pool.handle::<_, Verdict>("s", Email { raw, ..SPAM }, Meta::default()));
    let rejected = Some("b@example.com wants no prize of a@example.com".to_owned());
    assert_eq!(send(SPAM.raw), Ok(Verdict { rejected }));
    assert_eq!(send("dear b"), Ok(Verdict { rejected: None }));
}

#[test]
fn a_script_without_its_handler_says_so() {
    let pool = pool_of("export default { fetch() {} };");
    let failure = block_on(pool.handle::<_, Verdict>("s", SPAM, Meta::default())).expect_err("no handler");
    assert_eq!(failure.outcome, Outcome::Exception);
    let wanted = "the script does not handle \"email\" events: its default export has no email() method";
    assert!(failure.message.contains(wanted), "{}", failure.message);
}

#[test]
fn without_a_script_the_handler_is_called_with_the_value() {
    struct Ping(u32);
    impl HandlerInput for Ping {
        const HANDLER: &'static str = "ping";
        fn into_input(self) -> Input {
            Input::new(self.0)
        }
    }
    let pool = pool_of("export default class { ping(count) { return count + 1 } }");
    let answered = block_on(pool.handle::<_, u32>("s", Ping(41), Meta::default()));
    assert_eq!(answered, Ok(42));
}
