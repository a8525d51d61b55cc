//! A command has the limits given on the command line, and no others.

use crate::program::{Ended, isopod};

#[track_caller]
fn is_ended(ended: &Ended, told: &str) {
    // The exit code of timeout(1).
    assert_eq!(ended.code, Some(124), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

#[track_caller]
fn says_done(ended: &Ended) {
    let Ended { code, stdout, stderr } = ended;
    assert_eq!((*code, stdout.as_str()), (Some(0), "done\n"), "{stderr}");
}

#[test]
fn cpu_time_is_counted_over_all_that_a_script_does() {
    let told = "error: the script exceeded its CPU limit of 200ms (--cpu)";
    for script in [
        "for (;;);",
        "setTimeout(() => { for (;;); }, 1);",
        "setInterval(() => { const end = performance.now() + 20; while (performance.now() < end); }, 1);",
        "const spin = () => { const end = performance.now() + 20; while (performance.now() < end); };
         for (;;) { spin(); await new Promise((go) => setTimeout(go, 1)); }",
    ] {
        is_ended(&isopod(&["eval", "--cpu", "200ms", script]), told);
    }
}

#[test]
fn waiting_takes_no_cpu_time() {
    says_done(&isopod(&[
        "eval",
        "--cpu",
        "10s",
        "await new Promise((go) => setTimeout(go, 50)); console.log('done');",
    ]));
}

#[test]
fn memory_is_bounded_when_it_is_asked_for() {
    let told = "error: the script exceeded its memory limit of 48 MiB (--memory)";
    for script in [
        "const all = []; for (;;) all.push(new Array(1000).fill(1.5));",
        "setTimeout(() => { const all = []; for (;;) all.push({ all: [...all.slice(-3)] }); }, 1);",
    ] {
        is_ended(&isopod(&["eval", "--memory", "48MiB", script]), told);
    }
    // An allocation beyond the limit fails with an error that scripts can catch.
    let ended = isopod(&["eval", "--memory", "48MiB", "new Uint8Array(100e6)"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("RangeError"), "{}", ended.stderr);
}

#[test]
fn wall_time_includes_waiting_and_uninterruptible_code() {
    let told = "error: the script exceeded its time limit of 300ms (--wall)";
    for script in [
        "await new Promise((go) => setTimeout(go, 60_000));",
        "for (;;);",
        "import { stdin } from 'isopod:process'; for await (const part of stdin()); setInterval(() => {}, 1000);",
        "/^(a+)+$/.test('a'.repeat(40) + 'b');",
    ] {
        is_ended(&isopod(&["eval", "--wall", "300ms", script]), told);
    }
}

/// More than the defaults of a served worker: 128 MiB, 1,000 requests, 10,000 timers, 5 s of CPU time to start.
#[test]
fn without_limits_the_machine_is_the_limit() {
    let script = "const all = [];
        for (let i = 0; i < 40; i++) all.push(new Uint8Array(5e6).fill(1));
        for (let i = 0; i < 10; i++) all.push(new Array(1e6).fill(1.5));
        let timers = 0;
        for (let i = 0; i < 20_000; i++) setTimeout(() => timers++, 0);
        const data = 'data:,x';
        for (let i = 0; i < 1_100; i++) await (await fetch(data)).text();
        await new Promise((go) => setTimeout(go, 5));
        console.log(all.length, timers);";
    let ended = isopod(&["eval", script]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "50 20000\n"),
        "{}",
        ended.stderr
    );
}

#[test]
#[ignore = "takes 6 s of CPU time"]
fn without_limits_top_level_code_may_compute_for_long() {
    says_done(&isopod(&[
        "eval",
        "const end = performance.now() + 6_000; while (performance.now() < end); console.log('done');",
    ]));
}

#[test]
fn an_invalid_limit_is_an_error_with_an_example() {
    for (option, value, told) in [
        ("--cpu", "0s", "500ms, 10s"),
        ("--cpu", "5", "500ms, 10s"),
        ("--wall", "soon", "500ms, 10s"),
        ("--memory", "1KiB", "16 MiB or more"),
        ("--memory", "much", "64MiB"),
    ] {
        let ended = isopod(&["eval", option, value, "1"]);
        assert_eq!(ended.code, Some(2), "{option} {value}");
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
}
