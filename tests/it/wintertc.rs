//! The Minimum Common Web API (Ecma TC55, 2025 edition): scripts have every name on its list, and each does what it should.
//! The checks are in `wintertc/behaviors.js`.

use crate::program::isopod;
use crate::project::{Project, fixture};

#[test]
fn every_name_of_the_minimum_common_web_api_works() {
    let names = std::fs::read_to_string(fixture("wintertc-2025.txt")).expect("the list");
    let names: Vec<&str> = names.lines().collect();
    assert_eq!(names.len(), 78);
    let look = format!(
        "import {{ behaviors }} from './behaviors.js';
         const names = {names:?};
         for (const name of Object.keys(behaviors)) {{
             if (!names.includes(name)) console.log(`${{name}} is not on the list`);
         }}
         for (const name of names) {{
             let result = 'no check';
             try {{ result = await behaviors[name]?.(); }} catch (error) {{ result = error; }}
             if (result !== true) console.log(name, result);
         }}
         console.log('done');"
    );
    let behaviors = include_str!("wintertc/behaviors.js");
    let project = Project::new(&[("look.js", &look), ("behaviors.js", behaviors)]);
    let ended = isopod(&["run", &project.file("look.js")]);
    assert_eq!(ended.stdout, "done\n", "{}", ended.stderr);
    assert_eq!(ended.code, Some(0));
}
