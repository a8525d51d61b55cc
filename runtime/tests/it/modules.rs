//! Modules, tested by running them.

use isopod_runtime::Script;
use serde_json::json;

use crate::common::call;

/// https://www.typescriptlang.org/docs/handbook/release-notes/typescript-4-9.html#auto-accessors-in-classes, and for static ones
/// https://github.com/tc39/proposal-decorators#class-auto-accessors.
#[test]
fn accessors_have_separate_values() {
    let source = "
        const k = 'computed';
        class Base { static accessor shared = 1; }
        class A extends Base {
            accessor a: number = 1;
            static accessor a = 2;
            accessor #c = 3;
            accessor c = 4;
            static accessor #s = 5;
            accessor [k]: number = 6;
            accessor [k + '2'] = 7;
            accessor 'x y' = 8;
            accessor 'x-y' = 9;
            accessor 10 = 11;
            accessor empty: string | undefined;
            private accessor declared!: number;
            constructor(public readonly parameter = 12) { super(); }
            all() { this.#c += 100; A.#s += 100; return [this.#c, A.#s]; }
        }
        const anonymous = class { static accessor z = 13; };
        export function look() {
            const [one, two] = [new A(), new A()];
            one.a = 20; one['x y'] = 21; one[k] = 22; A.shared = 23;
            const own = Object.getOwnPropertyDescriptor(A.prototype, 'a');
            return [one.a, two.a, A.a, one.c, one.all(), one[k], two[k], one.computed2, one['x y'], two['x y'], one['x-y'],
                one[10], one.empty === undefined, one.parameter, anonymous.z, Base.shared, typeof own!.get, typeof own!.set,
                Object.keys(one)];
        }";
    let script = Script::builder("test").typescript(source);
    assert_eq!(
        call(script, "look", vec![]).unwrap(),
        json!([
            20,
            1,
            2,
            4,
            [103, 105],
            22,
            6,
            7,
            21,
            8,
            9,
            11,
            true,
            12,
            13,
            23,
            "function",
            "function",
            ["parameter"]
        ])
    );
}

/// Throwing far below the end of JavaScript's stack aborts the process: V8 checks that it is on its own stack.
#[test]
fn nested_errors_are_cloned_until_the_stack_ends() {
    let source = "
        function chain(length) { let error; while (length--) error = new Error('x', { cause: error }); return error; }
        const outcome = (work) => { try { work(); return 'ok' } catch (error) { return error.name } };
        export function look() {
            let deepest = 0;
            // The stack trace is created while unwinding, from the very end of the stack on.
            const dive = (left) => {
                try { left = dive(left) } catch {}
                if (left % 10 === 0) { try { deepest = Math.max(deepest, new Error('x').stack.length) } catch {} }
                return left - 1;
            };
            dive(3000);
            const { port1 } = new MessageChannel();
            return [
                outcome(() => structuredClone(chain(100))),
                outcome(() => structuredClone(chain(10_000))),
                outcome(() => port1.postMessage(chain(10_000))),
                deepest > 0,
            ];
        }";
    let script = Script::builder("test").source(source);
    assert_eq!(
        call(script, "look", vec![]).unwrap(),
        json!(["ok", "RangeError", "RangeError", true])
    );
}
