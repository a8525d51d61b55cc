//! Namespaces of workers in other processes, and objects of other pools. Requests and calls are written with the id of their object,
//! which the process of a pool finds.

use std::sync::Arc;

use serde_bytes::ByteBuf;

use super::id::ObjectId;
use super::messages::Addressed;
use super::namespace::{ObjectClass, ObjectHost, ObjectNamespace};
use crate::bindings::{Asks, Parcel, pack};
use crate::fetcher::{Fetcher, remote_object};

/// The objects of a namespace in another process.
struct RemoteObjects(Asks);

impl ObjectHost for RemoteObjects {
    fn object(&self, _class: &Arc<ObjectClass>, id: ObjectId) -> Arc<dyn Fetcher> {
        let addressed = move |parcel: Parcel| {
            let request = Addressed {
                id: id.as_hex().to_owned(),
                name: id.name().map(ToOwned::to_owned),
                bytes: ByteBuf::from(Vec::from(parcel.bytes)),
            };
            let bytes = pack(&request)?;
            Ok(Parcel { bytes, ..parcel })
        };
        remote_object(self.0.clone(), addressed)
    }
}

/// An object of a class in another process.
pub(crate) fn object(asks: Asks, class: &Arc<ObjectClass>, id: ObjectId) -> Arc<dyn Fetcher> {
    RemoteObjects(asks).object(class, id)
}

/// Creates the binding of a namespace in another process.
pub(crate) fn binding(asks: Asks, class: ObjectClass) -> ObjectNamespace {
    ObjectNamespace::new(class, RemoteObjects(asks))
}
