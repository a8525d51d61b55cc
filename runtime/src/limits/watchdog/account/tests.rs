use super::*;

const MS: Duration = Duration::from_millis(1);
const LIMITS: CpuLimits = CpuLimits {
    event: Duration::from_millis(100),
    soft: Duration::from_millis(80),
    boot: Duration::from_millis(100),
};

/// A thread that is sampled every 5 ms.
struct Thread {
    accounts: Accounts,
    at: Instant,
    cpu: Duration,
    answer: Option<Answer>,
    /// Code of no open event belongs to an ended one.
    leftover: bool,
}

impl Thread {
    fn new() -> Self {
        Self {
            accounts: Accounts::new(LIMITS, Duration::ZERO),
            at: Instant::now(),
            cpu: Duration::ZERO,
            answer: None,
            leftover: false,
        }
    }

    /// A sample after 5 ms with this much CPU time; the question is answered before the next sample.
    fn look(&mut self, used: Duration, turn: u64, entered: Entered, runs: Option<Option<EventKey>>) -> Judgement {
        self.at += 5 * MS;
        self.cpu += used;
        let judgement = self.accounts.judge(Sample {
            at: self.at,
            cpu: self.cpu,
            turn,
            entered,
            answer: self.answer.take(),
        });
        if judgement.ask || self.accounts.query.is_some() {
            self.answer = runs.map(|event| Answer {
                turn,
                event,
                is_leftover: event.is_none() && self.leftover,
            });
        }
        judgement
    }
}

#[test]
fn a_loop_ends_at_its_limit_after_a_warning() {
    let mut thread = Thread::new();
    let mut told = None;
    for look in 1u32.. {
        let judged = thread.look(5 * MS, 1, Entered::Event(7), Some(Some(7)));
        if let Some(soft) = judged.soft {
            assert!(told.replace(soft.used).is_none(), "told twice");
        }
        if let Some(blamed) = judged.breach {
            assert_eq!((blamed, told), (Some(7), Some(80 * MS)));
            assert_eq!(look, 21, "one look after the one that found the limit reached");
            break;
        }
        assert!(look < 30);
    }
}

#[test]
fn short_turns_add_up_and_waiting_is_free() {
    let mut thread = Thread::new();
    let (mut used, mut told) = (Duration::ZERO, false);
    for turn in 0u64.. {
        // One millisecond of work in every five; one of two events does nine tenths of it.
        let who = if turn % 10 == 3 { 1 } else { 2 };
        used += MS;
        let judged = thread.look(MS, turn, Entered::Loop(2), Some(Some(who)));
        assert_eq!(judged.breach, None, "its turn is over when the answer is read");
        if let Some(soft) = judged.soft {
            assert_eq!(soft.event, 2);
            assert!((85..95).contains(&used.as_millis()), "{used:?}");
            told = true;
        }
        if let Some(over) = judged.over {
            assert_eq!((over, told), (2, true));
            assert!((105..120).contains(&used.as_millis()), "{used:?}");
            break;
        }
    }
}

#[test]
fn a_new_event_is_not_charged_for_earlier_ones() {
    let mut thread = Thread::new();
    thread.look(MS, 1, Entered::Loop(4), Some(Some(4)));
    // Much was used by events that no sample saw, then a new event is seen.
    thread.accounts.unpaid = 500 * MS;
    thread.answer = None;
    thread.look(MS, 2, Entered::Event(5), Some(Some(5)));
    let judged = thread.look(MS, 2, Entered::Event(5), Some(Some(5)));
    assert_eq!((judged.breach, judged.soft), (None, None));
    assert!(thread.accounts.events[&5].cpu <= 15 * MS, "{:?}", thread.accounts);
}

#[test]
fn native_code_that_never_answers_ends_at_the_limit() {
    for (entered, blamed) in [(Entered::Event(3), Some(3)), (Entered::Loop(3), None)] {
        let mut thread = Thread::new();
        let looks = (1..).find(|_| thread.look(5 * MS, 1, entered, None).breach == Some(blamed));
        assert_eq!(looks, Some(21));
    }
}

#[test]
fn a_long_turn_lowers_its_priority_and_many_short_ones_do_not() {
    let mut thread = Thread::new();
    let mut standing = |used, turn| thread.look(used, turn, Entered::Loop(1), None).standing;
    for turn in 1..10 {
        assert_eq!(standing(5 * MS, turn), Standing::Normal);
    }
    assert_eq!(standing(5 * MS, 10), Standing::Normal, "it may have begun just now");
    assert_eq!(standing(5 * MS, 10), Standing::Lowered);
    assert_eq!(standing(5 * MS, 11), Standing::Normal);
}

#[test]
fn a_delayed_long_turn_still_gets_a_quarter_of_a_processor() {
    let mut thread = Thread::new();
    let mut look = |used| thread.look(used, 1, Entered::Boot, None).standing;
    let (mut got, mut before) = (Duration::ZERO, Standing::Normal);
    for _ in 0..1000 {
        // It gets nothing while others may run first, and half a processor when it competes with one.
        let used = match before {
            Standing::Normal => 5 * MS / 2,
            Standing::Lowered => Duration::ZERO,
        };
        got += used;
        before = look(used);
    }
    let share = got.as_secs_f64() / (1000 * 5 * MS).as_secs_f64();
    assert!((0.2..0.3).contains(&share), "{share}");
}

#[test]
fn code_of_no_event_is_limited_in_each_turn() {
    let mut thread = Thread::new();
    for turn in 0..100 {
        for _ in 0..10 {
            assert_eq!(thread.look(5 * MS, turn, Entered::Loop(3), Some(None)).breach, None);
        }
    }
    let looks = (1..).find(|_| thread.look(5 * MS, 200, Entered::Loop(3), Some(None)).breach == Some(None));
    assert_eq!(looks, Some(21));
}

#[test]
fn a_start_has_one_limit_for_all_its_turns() {
    let mut thread = Thread::new();
    let turns = (1..).find(|turn| thread.look(MS, *turn, Entered::Boot, None).breach == Some(None));
    assert_eq!(turns, Some(100));
}

#[test]
fn code_has_the_deadline_of_its_own_event() {
    let mut thread = Thread::new();
    let at = thread.at;
    thread.accounts.stop_at(1, at + 20 * MS);
    thread.accounts.stop_at(2, at + 60 * MS);
    let looks = (1..).find(|_| match thread.look(MS, 1, Entered::Loop(2), Some(Some(2))).late {
        None => false,
        late => late == Some(Some(2)) || panic!("{late:?}"),
    });
    assert_eq!(looks, Some(12));
    thread.accounts.ended(2);
    assert_eq!(
        thread.look(MS, 2, Entered::Loop(2), Some(None)).late,
        None,
        "code of no event"
    );
}

#[test]
fn native_code_is_late_if_it_can_belong_to_no_other_event() {
    let mut thread = Thread::new();
    let at = thread.at;
    thread.accounts.stop_at(1, at + 20 * MS);
    thread.accounts.stop_at(2, at + 100 * MS);
    assert!((0..10).all(|_| thread.look(MS, 1, Entered::Loop(2), None).late.is_none()));
    assert_eq!(
        thread.look(MS, 2, Entered::Event(1), None).late,
        None,
        "a turn that has just begun"
    );
    assert_eq!(thread.look(MS, 2, Entered::Event(1), None).late, Some(Some(1)));
    let looks = (13..).find(|_| thread.look(MS, 3, Entered::Loop(2), None).late == Some(None));
    assert_eq!(looks, Some(23));
}

#[test]
fn a_start_is_late_at_its_deadline() {
    let mut thread = Thread::new();
    thread.accounts.stop_boot_at(thread.at + 20 * MS);
    let looks = (1..).find(|turn| thread.look(Duration::ZERO, *turn, Entered::Boot, None).late == Some(None));
    assert_eq!(looks, Some(4));
}

#[test]
fn accounts_are_bounded_and_the_largest_are_kept() {
    let mut thread = Thread::new();
    thread.accounts.events.entry(1).or_default().cpu = 50 * MS;
    for key in 2..5000 {
        thread.look(MS, u64::from(key), Entered::Event(key), Some(Some(key)));
    }
    assert!(thread.accounts.events.len() <= ACCOUNTS_MAX);
    assert_eq!(thread.accounts.events[&1].cpu, 50 * MS);
}

/// On a busy machine, such code takes long to use up its CPU time.
#[test]
fn code_of_an_ended_event_ends_within_a_second() {
    let run = |leftover: bool| {
        let mut thread = Thread::new();
        thread.leftover = leftover;
        let began = thread.at;
        loop {
            let judged = thread.look(MS / 100, 1, Entered::Loop(7), Some(None));
            assert_eq!(judged.breach, None);
            if judged.late.is_some() || thread.at.duration_since(began) > 2 * LEFTOVER_MAX {
                return (judged.late, thread.at.duration_since(began));
            }
        }
    };
    let (late, after) = run(true);
    assert_eq!(late, Some(None));
    assert!((LEFTOVER_MAX..LEFTOVER_MAX + 20 * MS).contains(&after), "{after:?}");
    assert_eq!(run(false).0, None, "code of no event has no deadline");
}

#[test]
fn code_of_ended_events_in_several_turns_has_a_second_in_each() {
    let mut thread = Thread::new();
    thread.leftover = true;
    for look in 0..600 {
        let judged = thread.look(MS / 100, look / 100, Entered::Loop(7), Some(None));
        assert_eq!(judged.late, None);
    }
}

#[test]
fn cpu_time_outside_of_an_event_s_code_is_charged_once_and_to_it_alone() {
    let mut thread = Thread::new();
    thread.look(5 * MS, 1, Entered::Loop(2), Some(Some(1)));
    // Event 2 has its body encoded on the worker's thread, between the turns of event 1.
    for turn in 2..20 {
        thread.accounts.was_charged(4 * MS);
        assert!(!thread.accounts.charge(2, 4 * MS), "{turn}");
        let judged = thread.look(5 * MS, turn, Entered::Loop(2), Some(Some(1)));
        assert_eq!((judged.breach, judged.over), (None, None), "{turn}");
    }
    let used = |thread: &Thread, event| thread.accounts.events[&event].cpu;
    assert_eq!(used(&thread, 2), 72 * MS);
    assert!(used(&thread, 1) < 30 * MS, "{:?}", used(&thread, 1));
    // Another thread's time is not on the worker's clock.
    assert!(!thread.accounts.charge(2, 27 * MS));
    assert!(thread.accounts.charge(2, MS));
    assert!(thread.accounts.charge_boot(100 * MS) && !Accounts::new(LIMITS, MS).charge_boot(99 * MS));
}

#[test]
fn a_long_turn_is_noticed_once_and_a_short_one_never() {
    let mut thread = Thread::new();
    let mut noticed = |used, turn| thread.look(used, turn, Entered::Loop(1), Some(Some(1))).is_long;
    // The first sample of a turn does not know how much of the time before it was the turn's.
    let first: Vec<_> = (0..5).map(|_| noticed(3 * MS, 1)).collect();
    assert_eq!(first, [false, false, true, false, false]);
    assert!((2..20).all(|turn| !noticed(4 * MS, turn)));
    assert!(!noticed(5 * MS, 20) && noticed(5 * MS, 20));
}
