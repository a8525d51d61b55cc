use std::time::Duration;

use super::*;

fn isopod(section: &str) -> Project {
    Project::isopod(&format!("main = 'a.ts'\n{section}"))
}

fn wrangler(section: &str) -> Project {
    let text = format!("name = 'x'\nmain = 'a.ts'\n{section}");
    Project::new(&[("wrangler.toml", &text), ("a.ts", "")])
}

fn consumer(project: &Project) -> Consumer {
    let config = project.config();
    let (_, worker) = config.workers.first_key_value().expect("a worker");
    worker.consumers.first().expect("a consumer").clone()
}

fn producer(project: &Project) -> Producer {
    let config = project.config();
    let (_, worker) = config.workers.first_key_value().expect("a worker");
    let binding: &dyn std::any::Any = &*worker.bindings[0].binding;
    binding.downcast_ref::<Producer>().expect("a producer").clone()
}

#[test]
fn producers_and_consumers_share_a_file_named_by_the_queue() {
    let project = isopod(
        "[[queues.producers]]\nbinding = 'Q'\nqueue = 'orders'\ndelivery_delay = '2s'\n\
         [[queues.consumers]]\nqueue = 'orders'\ndead_letter_queue = 'lost'",
    );
    let (producer, consumer) = (producer(&project), consumer(&project));
    assert_eq!(producer.queue, consumer.queue);
    assert_eq!(producer.delay, Duration::from_secs(2));
    let file = project.path().join(".isopod/queues/orders.sqlite");
    assert_eq!(producer.queue.kept, Kept::File(file.clone()));
    let dead = consumer.dead_letters.expect("a queue for dead letters");
    let dead = dead.kept.file().expect("a file");
    assert_eq!(dead, file.with_file_name("lost.sqlite"));
    let withheld = project.config().withheld();
    assert!(
        withheld.contains(&file) && withheld.contains(&dead.to_owned()),
        "{withheld:?}"
    );
}

#[test]
fn a_consumer_has_the_defaults_of_the_platform() {
    let options = consumer(&isopod("[[queues.consumers]]\nqueue = 'q'")).options;
    assert_eq!(
        (
            options.batch_size,
            options.batch_timeout,
            options.retries,
            options.retry_delay
        ),
        (10, Duration::from_secs(5), 3, Duration::ZERO)
    );
}

#[test]
fn wrangler_files_have_the_same_settings_in_seconds() {
    let ours = isopod(
        "[[queues.consumers]]\nqueue = 'q'\nmax_batch_size = 50\nmax_batch_timeout = '7s'\nmax_retries = 0\nretry_delay = '1m'\n\
         dead_letter_queue = 'd'\nmax_concurrency = 2",
    );
    let theirs = wrangler(
        "[[queues.consumers]]\nqueue = 'q'\ntype = 'worker'\nmax_batch_size = 50\nmax_batch_timeout = 7\nmax_retries = 0\n\
         retry_delay = 60\ndead_letter_queue = 'd'\nmax_concurrency = 2",
    );
    assert_eq!(consumer(&ours).options, consumer(&theirs).options);
    let at_once = wrangler("[[queues.consumers]]\nqueue = 'q'\nmax_batch_timeout = 0");
    assert_eq!(consumer(&at_once).options.batch_timeout, Duration::from_millis(1));
    let delayed = wrangler("[[queues.producers]]\nqueue = 'q'\nbinding = 'Q'\ndelivery_delay = 3");
    assert_eq!(producer(&delayed).delay, Duration::from_secs(3));
}

#[test]
fn a_worker_that_consumes_needs_no_route() {
    let text = "routes = [{ path = '/*', worker = 'a' }]\n[workers.a]\nmain = 'a.ts'\n[workers.b]\nmain = 'a.ts'\n\
                [[workers.b.queues.consumers]]\nqueue = 'q'";
    assert_eq!(Project::isopod(text).config().notes, []);
}

#[test]
fn mistakes_are_reported_with_their_place() {
    let two = "routes = [{ path = '/*', worker = 'a' }]\n[workers.a]\nmain = 'a.ts'\n[[workers.a.queues.consumers]]\nqueue = 'q'\n\
               [workers.b]\nmain = 'a.ts'\n[[workers.b.queues.consumers]]\nqueue = 'q'";
    let consumer = "[[queues.consumers]]\nqueue = 'q'\n";
    for (project, expected) in [
        (
            isopod("[[queues.producers]]\nbinding = 'Q'\nqueue = '../q'"),
            "`queues.producers[0].queue`",
        ),
        (
            isopod(&format!("{consumer}max_batch_size = 101")),
            "should be a whole number from 1 to 100",
        ),
        (
            isopod(&format!("{consumer}max_batch_timeout = '61s'")),
            "should be at most 1m",
        ),
        (
            isopod(&format!("{consumer}retry_delay = '25h'")),
            "should be at most 1day",
        ),
        (
            isopod(&format!("{consumer}dead_letter_queue = 'q'")),
            "`queues.consumers[0].dead_letter_queue` is the queue itself",
        ),
        (Project::isopod(two), "the queue \"q\" has two consumers"),
        (
            wrangler(&format!("{consumer}type = 'http_pull'")),
            "this build has no consumer that pulls over HTTP",
        ),
        (
            wrangler(&format!("{consumer}max_retries = 101")),
            "should be at most 100",
        ),
        (
            wrangler("[[queues.producers]]\nbinding = 'Q'\nqueue = 'q'\nremote = true"),
            "this build has no remote queue",
        ),
    ] {
        let error = project.error();
        assert!(error.contains(expected), "{expected} in\n{error}");
    }
}
