//! Files that are never read as modules, wherever they are: recognized by name, by the first bytes, and by the
//! requested type. Pure.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path};

use super::kind::RequestedType;

/// The reason why an accessible file is not read as a module.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Its name, or that of a folder on its path, begins with a dot.
    Hidden,
    /// An env file.
    Environment,
    /// A configuration of Isopod or of wrangler.
    Configuration,
    /// A database, or one of its accompanying files.
    Database,
    /// A private key, or a file that contains one.
    Key,
    /// A binding or the configuration uses it.
    Named,
    /// Its extension is not one of modules.
    Kind(String),
    /// A file with several hard links, imported as data.
    HardLink,
    /// Data imported by a computed specifier.
    Computed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => {
                "files and folders whose names begin with a dot cannot be imported; rename it if it is a module"
            }
            Self::Environment => {
                "it is an env file; list what the worker needs in `secrets` or `vars`, and read it from `env`"
            }
            Self::Configuration => {
                "it is a configuration; put what the worker needs into `vars`, and read it from `env`"
            }
            Self::Database => "it is a database; list it in `databases`, and query it through `env`",
            Self::Key => "it holds a private key; list it in `secrets`, and read it from `env`",
            Self::Named => "files named by a binding or the configuration cannot be imported",
            Self::HardLink => {
                "the file has several hard links, and the others are unknown; copy the file, or set \
                 `modules.hard_links = true`"
            }
            Self::Computed => {
                "imports of text and bytes need a literal name in the importing module; write it out, or set \
                 `modules.computed_data = true`"
            }
            Self::Kind(extension) if extension.is_empty() => {
                return f.write_str("its name has no extension, which determines the type; add one");
            }
            Self::Kind(extension) => {
                return write!(
                    f,
                    "files that end in `.{extension}` are not imported with this type; add \"{extension}\" to \
                     `modules.data_extensions` if the script is meant to read them so"
                );
            }
        })
    }
}

/// Extensions for `text` and `bytes` besides those of code: text, pictures, fonts, sound, models.
const DATA: &str = "txt html htm sql md bin wasm json css scss less svg xml xsl xslt csv tsv graphql gql glsl vert frag wgsl \
    hbs handlebars mustache ejs liquid njk pug tmpl tpl eta vue svelte geojson topojson jsonld webmanifest ics vcf proto \
    ftl po mo peg pegjs png jpg jpeg gif webp avif ico bmp tif tiff jxl woff woff2 ttf otf eot mp3 ogg opus flac wav \
    m4a mp4 webm pdf onnx tflite glb gltf";
const CODE: &str = "js mjs cjs jsx ts mts cts tsx";
/// Extensions for JSON.
const JSON: &str = "json geojson topojson jsonld webmanifest gltf";
const DATABASES: &str = "db db3 sqlite sqlite3 s3db sl3 sdb mdb accdb duckdb rdb";
const KEYS: &str = "pem key p12 pfx p8 pk8 der crt cer jks keystore kdbx ppk asc gpg pgp jwk";
/// Suffixes of SQLite's files next to a database.
pub(super) const BESIDE_A_DATABASE: [&str; 3] = ["-wal", "-shm", "-journal"];

fn listed(list: &str, extension: &str) -> bool {
    list.split(' ').any(|known| known == extension)
}

/// The extension, in lower case; empty without one.
fn extension(name: &str) -> String {
    name.rsplit_once('.')
        .map_or_else(String::new, |(_, extension)| extension.to_lowercase())
}

/// The reason for rejecting a file by its name. Case-insensitive, as some file systems are.
pub(super) fn by_name(name: &OsStr) -> Option<Refusal> {
    let name = name.to_string_lossy().to_lowercase();
    let extension = extension(&name);
    let is_env = extension == "vars" || name.split('.').skip(1).any(|part| part == "env");
    if is_env && !listed(CODE, &extension) {
        return Some(Refusal::Environment);
    }
    if name.starts_with('.') {
        return Some(Refusal::Hidden);
    }
    let of_wrangler = name.starts_with("wrangler") && matches!(&*extension, "toml" | "json" | "jsonc");
    if of_wrangler || name.starts_with("isopod") && extension == "toml" {
        return Some(Refusal::Configuration);
    }
    let beside = BESIDE_A_DATABASE.iter().any(|suffix| name.ends_with(suffix));
    if beside || listed(DATABASES, &extension) {
        return Some(Refusal::Database);
    }
    let is_ssh = matches!(&*name, "id_rsa" | "id_dsa" | "id_ecdsa" | "id_ed25519");
    (is_ssh || listed(KEYS, &extension)).then_some(Refusal::Key)
}

/// Checks a file's extension against the requested type. `more` are additional extensions of data.
pub(super) fn by_request(path: &Path, requested: RequestedType<'_>, more: &[String]) -> Option<Refusal> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = extension(&name);
    let added = || {
        more.iter()
            .any(|added| added.trim_start_matches('.').to_lowercase() == extension)
    };
    let known = match requested {
        // The extension determines the type, see `kind`.
        RequestedType::Unspecified | RequestedType::Other(_) => return None,
        RequestedType::Json => listed(JSON, &extension) || added(),
        RequestedType::Text | RequestedType::Bytes => listed(DATA, &extension) || listed(CODE, &extension) || added(),
    };
    (!known || extension.is_empty()).then_some(Refusal::Kind(extension))
}

/// The reason for rejecting a file by its content.
pub(super) fn by_content(bytes: &[u8], is_json: bool) -> Option<Refusal> {
    // https://www.sqlite.org/fileformat2.html: the database header, the journal header, the WAL header.
    let sqlite: [&[u8]; 4] = [
        b"SQLite format 3\0",
        b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7",
        b"\x37\x7f\x06\x82",
        b"\x37\x7f\x06\x83",
    ];
    if sqlite.iter().any(|magic| bytes.starts_with(magic)) {
        return Some(Refusal::Database);
    }
    // RFC 7468, section 10: the label of a private key ends in "PRIVATE KEY".
    const LABEL: &[u8] = b"PRIVATE KEY-----";
    let start = bytes.trim_ascii_start();
    let is_pem = start.starts_with(b"-----BEGIN ");
    let holds_key = |within: &[u8]| within.windows(LABEL.len()).any(|window| window == LABEL);
    // A key may follow certificates; a text about keys does not begin as one.
    (is_pem && holds_key(start) || is_json && holds_key(bytes)).then_some(Refusal::Key)
}

/// Returns true if a component of this path, relative to an accessible folder, is hidden. Two kinds of folders are
/// exempt: those in `main`, which lead to the script itself (`.svelte-kit/cloudflare/_worker.js`), and those in which
/// package managers put packages (`node_modules/.pnpm`). The latter are recognized by `holds_package`: whether a folder
/// on the path, from this component on, has a `package.json`.
pub(super) fn is_hidden(below: &Path, main: &Path, holds_package: impl Fn(usize) -> bool) -> bool {
    let names = |path: &Path| -> Vec<_> { path.components().filter_map(normal).map(OsStr::to_owned).collect() };
    let (parts, main) = (names(below), names(main));
    let mut in_packages = false;
    parts.iter().enumerate().any(|(index, part)| {
        let leads_to_main = parts.get(..=index) == main.get(..=index);
        in_packages |= part == "node_modules";
        let is_file = index + 1 == parts.len();
        part.as_encoded_bytes().starts_with(b".")
            && !leads_to_main
            && (is_file || !in_packages || !holds_package(index + 1))
    })
}

fn normal(part: Component<'_>) -> Option<&OsStr> {
    match part {
        Component::Normal(name) => Some(name),
        _ => None,
    }
}
