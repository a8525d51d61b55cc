//! The files of a script's modules: on this machine's disk, or, for a worker in a sandbox, which has none, as another process
//! reads them by the same rules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use isopod_ext::remote::{Parcel, Remote, Target};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use url::Url;

use super::disk::{Disk, Edge, Found};
use super::error::{Importer, ModuleError, WrittenModuleError};
use super::kind::RequestedType;
use super::options::Jsx;
use super::tsconfig::{self, Settings};

/// The files of a script's modules.
pub(super) enum Files {
    Here(Box<Disk>),
    Elsewhere(RemoteDisk),
}

/// Files that another process reads.
pub(super) struct RemoteDisk {
    remote: Arc<dyn Remote>,
    computes_data: bool,
    /// The script's main module.
    main: OnceLock<Url>,
    /// The files that are in packages of ES modules, and those that are not.
    in_module_packages: Mutex<HashMap<Url, bool>>,
}

/// A request for files or their properties.
#[derive(Serialize, Deserialize)]
enum Request {
    ResolveUrl(String, String, Option<String>, Edge),
    ResolveBare(String, String, Option<String>, Edge),
    Read(String, Requested, Option<String>),
    IsInModulePackage(String),
    Settings(String),
}

/// A type of an import.
#[derive(Serialize, Deserialize)]
enum Requested {
    Unspecified,
    Json,
    Text,
    Bytes,
    Other(String),
}

/// The response to a request.
#[derive(Serialize, Deserialize)]
enum Response {
    Found(Option<String>),
    Read(ByteBuf),
    IsInModulePackage(bool),
    Settings(Settings),
}

type Answer = Result<Response, WrittenModuleError>;

impl Files {
    /// Files that another process reads.
    pub(super) fn elsewhere(remote: Arc<dyn Remote>, computes_data: bool) -> Self {
        Self::Elsewhere(RemoteDisk {
            remote,
            computes_data,
            main: OnceLock::new(),
            in_module_packages: Mutex::default(),
        })
    }

    /// Returns true if the nearest `package.json` of a file says `"type": "module"`.
    pub(super) fn is_in_module_package(&self, url: &Url) -> bool {
        match self {
            Self::Here(disk) => disk.is_in_module_package(url),
            Self::Elsewhere(remote) => remote.is_in_module_package(url),
        }
    }

    /// Returns true if `import()` accepts computed specifiers for text and bytes.
    pub(super) fn computes_data(&self) -> bool {
        match self {
            Self::Here(disk) => disk.reach().computed_data,
            Self::Elsewhere(remote) => remote.computes_data,
        }
    }

    /// Records the script's main module by its URL as written.
    pub(super) fn set_main(&self, url: &Url) {
        match self {
            Self::Here(disk) => disk.set_main(url),
            Self::Elsewhere(remote) => drop(remote.main.set(url.clone())),
        }
    }

    /// Returns true for the script's main module.
    pub(super) fn is_main(&self, url: &Url) -> bool {
        match self {
            Self::Here(disk) => disk.is_main(url),
            Self::Elsewhere(remote) => remote.main.get().is_some_and(|main| main.path() == url.path()),
        }
    }

    /// Resolves a `file:` URL as written, without searching extensions.
    pub(super) fn resolve_url(
        &self,
        url: &Url,
        specifier: &str,
        importer: Importer,
        edge: Edge,
    ) -> Result<Found, ModuleError> {
        match self {
            Self::Here(disk) => disk.resolve_url(url, specifier, importer, edge),
            Self::Elsewhere(remote) => {
                let importer = importer.name().map(str::to_owned);
                remote.found(&Request::ResolveUrl(
                    url.to_string(),
                    specifier.to_owned(),
                    importer,
                    edge,
                ))
            }
        }
    }

    /// Resolves a bare name from a file (`None`: from the root).
    pub(super) fn resolve_bare(
        &self,
        specifier: &str,
        referrer: &Url,
        importer: Importer,
        edge: Edge,
    ) -> Result<Found, ModuleError> {
        match self {
            Self::Here(disk) => disk.resolve_bare(specifier, referrer, importer, edge),
            Self::Elsewhere(remote) => {
                let importer = importer.name().map(str::to_owned);
                remote.found(&Request::ResolveBare(
                    specifier.to_owned(),
                    referrer.to_string(),
                    importer,
                    edge,
                ))
            }
        }
    }

    /// Reads a file.
    pub(super) fn read(
        &self,
        url: &Url,
        requested: RequestedType<'_>,
        bytes_max: u64,
        importer: &Importer,
    ) -> Result<Arc<[u8]>, ModuleError> {
        match self {
            Self::Here(disk) => disk.read(url, requested, bytes_max, importer),
            Self::Elsewhere(remote) => {
                let importer = importer.name().map(str::to_owned);
                match remote.request(&Request::Read(url.to_string(), requested.into(), importer))? {
                    Response::Read(bytes) => Ok(bytes.into_vec().into()),
                    _ => Err(no_answer()),
                }
            }
        }
    }

    /// The settings for compiling a file. Invalid ones are reported.
    pub(super) fn settings(&self, url: &Url, jsx: &Jsx) -> Result<Settings, ModuleError> {
        match self {
            Self::Here(disk) => Ok(tsconfig::settings(jsx, disk.tsconfig(url)?.as_deref())),
            Self::Elsewhere(remote) => match remote.request(&Request::Settings(url.to_string()))? {
                Response::Settings(settings) => Ok(settings),
                _ => Err(no_answer()),
            },
        }
    }

    /// Answers a request of a worker in another process, which may be any bytes.
    pub(super) fn answer(&self, bytes: &[u8], bytes_max: u64, jsx: &Jsx) -> Result<Vec<u8>, String> {
        let (request, []) = postcard::take_from_bytes::<Request>(bytes).map_err(|error| error.to_string())? else {
            return Err("bytes follow a request".to_owned());
        };
        let answer: Answer = self.respond(request, bytes_max, jsx).map_err(WrittenModuleError::from);
        postcard::to_stdvec(&answer).map_err(|error| error.to_string())
    }

    fn respond(&self, request: Request, bytes_max: u64, jsx: &Jsx) -> Result<Response, ModuleError> {
        let url = |text: &str| {
            Url::parse(text).map_err(|error| ModuleError::InvalidSpecifier {
                specifier: text.to_owned(),
                importer: Importer::default(),
                reason: error.to_string(),
            })
        };
        let found = |found| match found {
            Found::File(url) => Response::Found(Some(url.into())),
            Found::Nothing => Response::Found(None),
        };
        Ok(match request {
            Request::ResolveUrl(text, specifier, importer, edge) => {
                found(self.resolve_url(&url(&text)?, &specifier, Importer::from(importer), edge)?)
            }
            Request::ResolveBare(specifier, referrer, importer, edge) => {
                found(self.resolve_bare(&specifier, &url(&referrer)?, Importer::from(importer), edge)?)
            }
            Request::Read(text, requested, importer) => {
                let bytes = self.read(&url(&text)?, requested.borrowed(), bytes_max, &Importer::from(importer))?;
                Response::Read(ByteBuf::from(bytes.to_vec()))
            }
            Request::IsInModulePackage(text) => Response::IsInModulePackage(self.is_in_module_package(&url(&text)?)),
            Request::Settings(text) => Response::Settings(self.settings(&url(&text)?, jsx)?),
        })
    }
}

impl RemoteDisk {
    /// Sends a request, and blocks the thread until its response arrives.
    fn request(&self, request: &Request) -> Result<Response, ModuleError> {
        let elsewhere = |message: String| ModuleError::Elsewhere { message };
        let bytes = postcard::to_stdvec(request).map_err(|error| elsewhere(error.to_string()))?;
        let response = self
            .remote
            .ask_now(Target::Modules, Parcel::new(bytes))
            .map_err(elsewhere)?;
        let answer: Answer = postcard::from_bytes(&response.bytes).map_err(|error| elsewhere(error.to_string()))?;
        answer.map_err(ModuleError::from)
    }

    fn found(&self, request: &Request) -> Result<Found, ModuleError> {
        match self.request(request)? {
            Response::Found(None) => Ok(Found::Nothing),
            Response::Found(Some(url)) => Url::parse(&url).map(Found::File).map_err(|_| no_answer()),
            _ => Err(no_answer()),
        }
    }

    fn is_in_module_package(&self, url: &Url) -> bool {
        let known = || self.in_module_packages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(is_in) = known().get(url) {
            return *is_in;
        }
        let is_in = matches!(
            self.request(&Request::IsInModulePackage(url.to_string())),
            Ok(Response::IsInModulePackage(true))
        );
        known().insert(url.clone(), is_in);
        is_in
    }
}

fn no_answer() -> ModuleError {
    ModuleError::Elsewhere {
        message: "the pool's answer about a module is none".to_owned(),
    }
}

impl From<RequestedType<'_>> for Requested {
    fn from(requested: RequestedType<'_>) -> Self {
        match requested {
            RequestedType::Unspecified => Self::Unspecified,
            RequestedType::Json => Self::Json,
            RequestedType::Text => Self::Text,
            RequestedType::Bytes => Self::Bytes,
            RequestedType::Other(other) => Self::Other(other.to_owned()),
        }
    }
}

impl Requested {
    fn borrowed(&self) -> RequestedType<'_> {
        match self {
            Self::Unspecified => RequestedType::Unspecified,
            Self::Json => RequestedType::Json,
            Self::Text => RequestedType::Text,
            Self::Bytes => RequestedType::Bytes,
            Self::Other(other) => RequestedType::Other(other),
        }
    }
}
