//! Modules of the loader's own: what transpiled code imports, and the module that stands for none.

use url::Url;

pub(super) const SCHEME: &str = "isopod-internal";
/// The transpiler appends `/helpers/<name>`.
pub(super) const PREFIX: &str = "isopod-internal:";

pub(super) fn empty() -> Url {
    Url::parse("isopod-internal:/empty").expect("a constant URL that a test parses")
}

/// The source of an internal module.
pub(super) fn source(url: &Url) -> Option<&'static str> {
    match url.path() {
        // What bundlers give for a module that the `browser` field switches off.
        "/empty" => Some("export default {};\n"),
        "/helpers/decorate" => Some(DECORATE),
        "/helpers/decorateParam" => Some(DECORATE_PARAM),
        "/helpers/decorateMetadata" => Some(DECORATE_METADATA),
        _ => None,
    }
}

/// TypeScript's `experimentalDecorators`: `descriptor` is undefined for classes, null for methods (look it up), and
/// `void 0` with a key for properties, which have none. Applied last to first; each may replace what it was given.
const DECORATE: &str = "\
export default function decorate(decorators, target, key, descriptor) {
  const isClass = arguments.length < 3;
  let result = isClass ? target : descriptor === null ? Object.getOwnPropertyDescriptor(target, key) : descriptor;
  for (let i = decorators.length - 1; i >= 0; i--) {
    const decorator = decorators[i];
    const replaced = isClass
      ? decorator(result)
      : arguments.length > 3 ? decorator(target, key, result) : decorator(target, key);
    result = replaced || result;
  }
  if (arguments.length > 3 && result) Object.defineProperty(target, key, result);
  return result;
}
";

const DECORATE_PARAM: &str = "\
export default function decorateParam(index, decorator) {
  return (target, key) => decorator(target, key, index);
}
";

/// Does nothing unless a library such as reflect-metadata is there, as in TypeScript.
const DECORATE_METADATA: &str = "\
export default function decorateMetadata(key, value) {
  if (typeof Reflect.metadata === \"function\") return Reflect.metadata(key, value);
  return () => {};
}
";
