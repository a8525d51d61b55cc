//! The binding: `env.ROOMS.getByName("lobby").fetch(request)`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deno_core::{OpState, op2};
use serde_json::Value;

use super::ObjectError;
use super::id::{Ids, ObjectId};
use super::messages::Addressed;
use crate::bindings::{Binding, EnvValue, Installed, NewWorker, Parcel, ParcelFuture, WrittenBinding, unpack};
use crate::event::Data;
use crate::fetcher::{Fetcher, Stubs, serve_remote};

/// A class of Durable Objects, and the folder of their storage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ObjectClass {
    /// The name of the script that exports the class.
    pub script: Arc<str>,
    /// The name of the export.
    pub class: Arc<str>,
    /// The name of the namespace within the script, from which ids are derived. Default: the name of the class.
    pub key: Arc<str>,
    /// The folder of their files. Objects with the same id and folder are the same object.
    pub folder: Arc<PathBuf>,
    /// Maximum size of the storage of one object, in bytes. Default: [`ObjectClass::BYTES_MAX`].
    pub bytes_max: u64,
    /// Time after which an idle object is evicted or hibernates. Default: 1 min.
    pub idle: Duration,
}

impl ObjectClass {
    /// Default of [`ObjectClass::bytes_max`]: 1 GiB.
    pub const BYTES_MAX: u64 = 1 << 30;

    /// Default of [`ObjectClass::idle`].
    pub const IDLE: Duration = Duration::from_secs(60);

    /// Creates a class that a script exports, with the folder of its objects.
    pub fn new(script: impl Into<Arc<str>>, class: impl Into<Arc<str>>, folder: impl Into<PathBuf>) -> Self {
        let class = class.into();
        Self {
            script: script.into(),
            key: Arc::clone(&class),
            class,
            folder: Arc::new(folder.into()),
            bytes_max: Self::BYTES_MAX,
            idle: Self::IDLE,
        }
    }

    /// Sets [`ObjectClass::key`], by which objects are found after their class was renamed.
    #[must_use]
    pub fn key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = key.into();
        self
    }

    /// Sets [`ObjectClass::idle`].
    #[must_use]
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets [`ObjectClass::bytes_max`].
    #[must_use]
    pub const fn bytes_max(mut self, bytes_max: u64) -> Self {
        self.bytes_max = bytes_max;
        self
    }
}

/// Sends calls to objects, each of which lives in one worker. Implemented by the pool.
pub trait ObjectHost: Send + Sync + 'static {
    /// Returns the fetcher that answers requests and calls to an object. Does not start the object.
    fn object(&self, class: &Arc<ObjectClass>, id: ObjectId) -> Arc<dyn Fetcher>;
}

/// A namespace of Durable Objects in `env`: the objects of one class.
#[derive(Clone)]
pub struct ObjectNamespace {
    class: Arc<ObjectClass>,
    host: Arc<dyn ObjectHost>,
}

impl ObjectNamespace {
    /// Creates the binding of a class, with the host of its objects.
    pub fn new(class: ObjectClass, host: impl ObjectHost) -> Self {
        Self {
            class: Arc::new(class),
            host: Arc::new(host),
        }
    }
}

impl fmt::Debug for ObjectNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectNamespace").field(&self.class).finish()
    }
}

impl Binding for ObjectNamespace {
    fn kind(&self) -> &'static str {
        "Durable Objects"
    }

    fn install(&self, name: &str, worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        let bound = Bound {
            namespace: self.clone(),
            ids: Arc::new(Ids::new(&self.class.script, &self.class.key)),
            worker: worker.script.into(),
        };
        Installed::put(state, name, bound);
        state.put(Stubs(stub));
        EnvValue::made("ext:isopod_objects/namespace.js", &Value::Null)
    }

    fn withheld(&self) -> Vec<PathBuf> {
        vec![PathBuf::clone(&self.class.folder)]
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::Objects {
            script: (*self.class.script).to_owned(),
            class: (*self.class.class).to_owned(),
            key: (*self.class.key).to_owned(),
            folder: PathBuf::clone(&self.class.folder),
        })
    }

    fn serve(&self, script: &str, request: Parcel, bytes_max: usize) -> ParcelFuture {
        let object = unpack::<Addressed>(&request.bytes).and_then(|Addressed { id, name, bytes }| {
            match Ids::new(&self.class.script, &self.class.key).check(&id) {
                Some(true) => Ok((
                    self.host.object(&self.class, ObjectId::new(id, name.map(Arc::from))),
                    bytes,
                )),
                _ => Err("the id is none of this namespace".to_owned()),
            }
        });
        match object {
            Ok((object, bytes)) => {
                let request = Parcel {
                    bytes: bytes.into_vec().into(),
                    ..request
                };
                serve_remote(object, script, Some(Data::Empty), request, bytes_max)
            }
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

/// A namespace in a worker's state.
#[derive(Clone)]
struct Bound {
    namespace: ObjectNamespace,
    ids: Arc<Ids>,
    /// The name of the worker's script.
    worker: Arc<str>,
}

/// Returns the fetcher of a stub, and the script of its worker. `stub` is `BINDING \u{1} ID \u{1} NAME`, as `namespace.js`
/// writes it, without the last part if there is no name.
fn stub(state: &OpState, stub: &str) -> Option<(Arc<dyn Fetcher>, Arc<str>)> {
    let mut parts = stub.splitn(3, '\u{1}');
    let (binding, id, name) = (parts.next()?, parts.next()?, parts.next());
    let Bound { namespace, worker, .. } = Installed::<Bound>::get(state, binding)?;
    let id = ObjectId::new(id, name.map(Arc::from));
    Some((namespace.host.object(&namespace.class, id), worker.clone()))
}

/// Creates the id of a name, or a unique one.
#[op2]
#[string]
pub(super) fn op_isopod_object_id(
    state: &mut OpState,
    #[string] binding: String,
    #[string] name: Option<String>,
) -> Result<String, ObjectError> {
    let ids = ids(state, binding)?;
    match name {
        Some(name) => Ok(ids.of_name(&name)),
        None => ids
            .unique()
            .map_err(|_| ObjectError::Internal("there are no random numbers".to_owned())),
    }
}

/// Checks an id in hex digits.
#[op2(fast)]
pub(super) fn op_isopod_object_check(
    state: &mut OpState,
    #[string] binding: String,
    #[string] hex: &str,
) -> Result<(), ObjectError> {
    match ids(state, binding)?.check(hex) {
        None => Err(ObjectError::InvalidId),
        Some(false) => Err(ObjectError::OtherNamespace),
        Some(true) => Ok(()),
    }
}

/// Finds the binding of a class of the worker's own script.
#[op2]
#[string]
pub(super) fn op_isopod_object_own(state: &mut OpState, #[string] class: &str) -> Option<String> {
    Installed::<Bound>::find(state, |Bound { namespace, worker, .. }| {
        *namespace.class.class == *class && namespace.class.script == *worker
    })
    .map(str::to_owned)
}

fn ids(state: &OpState, binding: String) -> Result<Arc<Ids>, ObjectError> {
    let bound = Installed::<Bound>::get(state, &binding).map(|bound| bound.ids.clone());
    bound.ok_or(ObjectError::NoBinding(binding))
}
