//! `isopod serve --watch`: what changes is deployed, and a mistake does not take the version before away.

use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

const fn worker() -> &'static str {
    "import { text } from './text.ts'; export default { fetch: () => new Response(text) };"
}

#[test]
fn a_change_in_any_module_is_deployed_and_a_mistake_is_not() {
    let project = Project::new(&[
        ("worker.ts", worker()),
        ("text.ts", "export const text: string = 'one';"),
    ]);
    let server = Serving::start_with(project.file("worker.ts"), &["--watch"]);
    assert_eq!(server.get("/").body, "one");
    project.write("text.ts", "export const text: string = 'two';");
    until("the change is served", || (server.get("/").body == "two").then_some(()));
    project.write("text.ts", "export const text: string = ;");
    until("the mistake is told", || {
        server.log().contains("text.ts:1:29").then_some(())
    });
    project.write("text.ts", "export const text: string = 'three';");
    until("the mended version is served", || {
        (server.get("/").body == "three").then_some(())
    });
}
