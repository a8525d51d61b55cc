//! The loader's own modules: helpers that transpiled code imports, and the empty module.

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
        // The same as bundlers provide for a module that the `browser` field disables.
        "/empty" => Some("export default {};\n"),
        "/helpers/decorate" => Some(DECORATE),
        "/helpers/decorateParam" => Some(DECORATE_PARAM),
        "/helpers/decorateMetadata" => Some(DECORATE_METADATA),
        _ => None,
    }
}

/// TypeScript's `experimentalDecorators`: `descriptor` is undefined for classes, null for methods (look it up), and
/// `void 0` with a key for properties, which have none. Applied from last to first; each may replace its target.
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

/// Has no effect without a library such as reflect-metadata, as in TypeScript.
const DECORATE_METADATA: &str = "\
export default function decorateMetadata(key, value) {
  if (typeof Reflect.metadata === \"function\") return Reflect.metadata(key, value);
  return () => {};
}
";
