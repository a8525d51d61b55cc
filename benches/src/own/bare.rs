//! The time that the snapshot saves: the same extensions, with their JavaScript compiled and run for each isolate.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result};
use deno_core::{JsRuntime, ModuleCodeString, ModuleName, RuntimeOptions, SourceMapData};
use deno_error::JsErrorBox;

use super::micros_since;

pub(super) fn run(isolates: usize) -> Result<Vec<f64>> {
    // V8 is initialized on the thread that uses it.
    JsRuntime::init_platform(None);
    let transpiler = stripper();
    let mut samples = Vec::with_capacity(isolates);
    for _ in 0..isolates {
        let begun = Instant::now();
        let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let _entered = event_loop.enter();
        let mut runtime = JsRuntime::try_new(RuntimeOptions {
            extensions: isopod_ext::extensions(),
            extension_transpiler: Some(transpiler.clone()),
            ..RuntimeOptions::default()
        })
        .context("the extensions' own JavaScript must run")?;
        runtime.execute_script("first-line.js", "1")?;
        samples.push(micros_since(begun));
    }
    Ok(samples)
}

type Transpiler = dyn Fn(ModuleName, ModuleCodeString) -> Result<(ModuleCodeString, Option<SourceMapData>), JsErrorBox>;

/// Strips types once per file: a build without a snapshot would do that in advance.
fn stripper() -> Rc<Transpiler> {
    let known = RefCell::new(HashMap::<String, Option<String>>::new());
    Rc::new(move |specifier, source| {
        let mut known = known.borrow_mut();
        let stripped = match known.get(specifier.as_str()) {
            Some(stripped) => stripped.clone(),
            None => {
                let stripped =
                    isopod_snapshot::strip_types(&specifier, source.as_str()).map_err(JsErrorBox::generic)?;
                known.insert(specifier.to_string(), stripped.clone());
                stripped
            }
        };
        Ok((stripped.map_or(source, Into::into), None))
    })
}
