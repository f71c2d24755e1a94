//! How the parts of an act that are not ours alone are stored.

/// Bytes as one run, which postcard would write byte by byte.
pub(crate) mod stored_bytes {
    use std::sync::Arc;

    use serde::de::Visitor;
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        bytes: &Arc<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<[u8]>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Arc<[u8]>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(bytes.into())
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// What is known of an event besides its bytes.
pub(crate) mod stored_origin {
    use std::sync::Arc;

    use detections::event::{Envelope, Origin};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Stored = (String, String, bool, Option<i64>);

    pub(crate) fn serialize<S: Serializer>(
        origin: &Origin,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let stored: Stored = (
            origin.cluster.as_ref().to_owned(),
            origin.envelope.as_str().to_owned(),
            origin.partial,
            origin.time_us,
        );
        stored.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Origin, D::Error> {
        let (cluster, envelope, partial, time_us) = Stored::deserialize(deserializer)?;
        let envelope = Envelope::parse(&envelope)
            .ok_or_else(|| D::Error::custom(format!("there is no envelope {envelope}")))?;
        Ok(Origin {
            cluster: Arc::from(cluster),
            envelope,
            partial,
            time_us,
        })
    }
}
