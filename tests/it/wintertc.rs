//! The Minimum Common Web API (Ecma TC55, 2025 edition): scripts have every name on its list.

use crate::program::isopod;
use crate::project::{Project, fixture};

#[test]
fn every_name_of_the_minimum_common_web_api_is_there() {
    let names = std::fs::read_to_string(fixture("wintertc-2025.txt")).expect("the list");
    let names: Vec<&str> = names.lines().collect();
    assert_eq!(names.len(), 78);
    let look = format!(
        "const names = {names:?};
         const missing = names.filter((name) => {{
             let at = globalThis;
             for (const part of name.split('.')) {{
                 if (at === null || at === undefined || !(part in at)) return true;
                 at = at[part];
             }}
             return at === undefined;
         }});
         console.log(missing.join(' ') || 'none is missing');
         console.log(/^[A-Za-z0-9.-]+\\/[A-Za-z0-9.-]+$/.test(navigator.userAgent));
         const heard = new Promise((resolve) => addEventListener('unhandledrejection', (event) => {{
             event.preventDefault();
             resolve(event.reason);
         }}));
         Promise.reject('heard');
         console.log(await heard);"
    );
    let project = Project::new(&[("look.js", &look)]);
    let ended = isopod(&["run", &project.file("look.js")]);
    assert_eq!(ended.stdout, "none is missing\ntrue\nheard\n", "{}", ended.stderr);
    assert_eq!(ended.code, Some(0));
}
